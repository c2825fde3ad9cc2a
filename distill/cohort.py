"""Cohort: members that train as one stack, and what is kept of them on disk."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from distill.callbacks import Advance, Passes
from distill.data.impressions import TEST, TRAIN, VALID, Impressions, View
from distill.feed import Feed, predictions
from distill.files import read_json, whole_folder, write_json
from distill.fingerprint import derived_seed, fingerprint
from distill.fleet import Fleet, seeded
from distill.heads import AuxiliaryHead
from distill.knowledge import Knowledge
from distill.learner import Learner, Pace, train
from distill.member import SOURCE, Member
from distill.metrics import base_entropy, cross_entropy
from distill.objective import Distillation, Objective
from distill.optimizer import Rates
from distill.ranker import Ranker
from distill.recipe.sections import Students
from distill.sampling import Shuffled
from distill.stopping import Validation


class Course(NamedTuple):
    """What every cohort of a run is trained with.

    Attributes:
        students: their section of the recipe.
        impressions: the rows.
        view: their features.
        knowledge: what the teacher said.
        tell: called with the rows of each step.
    """

    students: Students
    impressions: Impressions
    view: View
    knowledge: Knowledge
    tell: Callable[[int], None]


class Trained(NamedTuple):
    """What is known of a cohort before anything is decided.

    Attributes:
        validations: how each member did after each pass.
        curves: mean training loss of each member in each pass, in nats.
        failed: place of a member -> why it failed.
    """

    validations: list[Validation]
    curves: list[list[float]]
    failed: dict[int, str]


class Cohort:
    """A cohort on disk: first its passes, then, once it is decided which of them counts, its students.

    Args:
        folder: below which cohorts live.
        members: who belongs to it, in the order of the stack.
    """

    def __init__(self, folder: Path, members: Sequence[Member]) -> None:
        self.members = list(members)
        self.folder = folder / fingerprint([member.fingerprint for member in members])

    @property
    def trained(self) -> bool:
        """Whether its passes are there."""
        return (self.folder / "trained").exists()

    @property
    def judged(self) -> bool:
        """Whether its students are there."""
        return (self.folder / "students").exists()

    def train(self, course: Course) -> None:
        """Trains its members and keeps them as they are after each pass."""
        with whole_folder(self.folder / "trained") as draft:
            recorder = _Recorder(self.members, course)
            _train(self.members, course, recorder)
            for number, weights in enumerate(recorder.weights, 1):
                save_file(weights, draft / f"pass-{number}.safetensors")
            write_json(draft / "record.json", recorder.record())
            write_json(draft / "members.json", [member._asdict() for member in self.members])

    def result(self) -> Trained:
        """What training showed."""
        record = read_json(self.folder / "trained" / "record.json")
        validations = [
            Validation(np.array([np.nan if x is None else x for x in one["cross_entropy"]]), *one["rest"])
            for one in record["validations"]
        ]
        return Trained(validations, record["curves"], {int(place): why for place, why in record["failed"].items()})

    def judge(self, course: Course, passes: Sequence[int]) -> None:
        """Takes each member after the pass that was decided for it, and scores its test rows."""
        failed = self.result().failed
        weights: dict[str, Tensor] = {}
        scores: dict[str, Tensor] = {}
        for place, (member, number) in enumerate(zip(self.members, passes, strict=True)):
            if place not in failed:
                state = self._state(place, number)
                weights |= {f"{place}/{name}": tensor for name, tensor in state.items()}
                scores[str(place)] = _scores(course, member, state)
        with whole_folder(self.folder / "students") as draft:
            save_file(weights, draft / "weights.safetensors")
            save_file(scores, draft / "scores.safetensors")
            write_json(draft / "passes.json", list(passes))
        for path in (self.folder / "trained").glob("pass-*.safetensors"):
            path.unlink()

    def scores(self) -> dict[int, np.ndarray]:
        """Log-odds of each member on the test rows of its vertical, `[rows, tasks]`; failed members are missing."""
        with safe_open(self.folder / "students" / "scores.safetensors", "numpy") as file:
            return {int(place): file.get_tensor(place) for place in file.keys()}  # noqa: SIM118

    def passes(self) -> list[int]:
        """After which pass each member was taken."""
        return read_json(self.folder / "students" / "passes.json")

    def _state(self, place: int, number: int) -> dict[str, Tensor]:
        prefix = f"{place}/"
        with safe_open(self.folder / "trained" / f"pass-{number}.safetensors", "torch") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
            return {name.removeprefix(prefix): file.get_tensor(name) for name in names}


def find(folder: Path) -> list[Cohort]:
    """Every cohort below a folder whose training is complete."""
    paths = sorted(folder.glob("*/trained/members.json"))
    return [Cohort(folder, [Member(**facts) for facts in read_json(path)]) for path in paths]


class _Recorder:
    """Takes down each member at the end of each of its passes."""

    def __init__(self, members: Sequence[Member], course: Course) -> None:
        epochs = course.students.train.epochs
        self.course = course
        self.rows = [course.impressions.select(VALID, member.vertical) for member in members]
        self.weights: list[dict[str, Tensor]] = [{} for _ in range(epochs)]
        self.cross_entropy = [[float("nan")] * epochs for _ in members]
        self.curves: list[list[float]] = [[] for _ in members]
        self.failed: dict[int, str] = {}

    def keep(self, place: int, number: int, ranker: Ranker, loss: float) -> None:
        """Called by `Passes`."""
        if not all(tensor.isfinite().all() for tensor in ranker.parameters()):
            self.failed.setdefault(place, f"its weights were no longer finite after pass {number}")
            return
        self.weights[number - 1] |= {f"{place}/{name}": tensor for name, tensor in ranker.state_dict().items()}
        self.cross_entropy[place][number - 1] = self._validate(ranker, self.rows[place])
        self.curves[place].append(loss)

    def record(self) -> dict[str, Any]:
        """All that is known, as plain values."""
        return {
            "validations": [
                {"cross_entropy": [None if x != x else x for x in sums], "rest": self._rest(rows)}
                for sums, rows in zip(self.cross_entropy, self.rows, strict=True)
            ],
            "curves": self.curves,
            "failed": self.failed,
        }

    def _validate(self, ranker: Ranker, rows: np.ndarray) -> float:
        total = 0.0
        for chunk, prediction in predictions(ranker, self.course.view, rows):
            label, weight = _truth(self.course.impressions, chunk)
            total += float(cross_entropy(prediction.logit.numpy(), label, weight).sum())
        return total

    def _rest(self, rows: np.ndarray) -> tuple[float, int, int]:
        label, weight = _truth(self.course.impressions, rows)
        base = sum(base_entropy(clicks, weights) for clicks, weights in zip(label.T, weight.T, strict=True))
        there = weight > 0
        return float(base), int((label * there).sum()), int(((1 - label) * there).sum())


def _truth(impressions: Impressions, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels and weights, `[rows, tasks]`; a label that does not exist weighs nothing."""
    return impressions.label[rows], impressions.weight[rows, None] * impressions.valid[rows]


def _train(members: Sequence[Member], course: Course, recorder: _Recorder) -> None:
    settings = course.students.train
    seeds = [member.random_seed for member in members]
    rows = [course.impressions.select(TRAIN, member.vertical) for member in members]
    steps = Shuffled(rows, seeds, settings.batch, [settings.epochs] * len(members), settings.least_steps)
    learner = _learner(members, course, steps.steps)
    feed = Feed(course.view, steps, seeds, {SOURCE: course.knowledge})
    train(learner, feed, [Passes(steps.pass_steps, recorder.keep), Advance(course.tell)])
    for place, step in learner.failed.items():
        recorder.failed[place] = f"its loss was no longer finite at step {step}"


def _learner(members: Sequence[Member], course: Course, steps: Tensor) -> Learner:
    students, settings = course.students, [member.settings for member in members]
    seeds = tuple(member.random_seed for member in members)
    schemas = [course.view.schema(member.vertical) for member in members]
    weight, temperature = (torch.tensor([one[name] for one in settings]) for name in ("logit_weight", "temperature"))
    head = students.distill.logit.head
    distillation = Distillation(SOURCE, weight, temperature, head)
    pace = Pace(Rates.of(settings), steps, seeds, students.train.schedule, members[0].tables)
    fleet = lambda: Fleet(seeded(lambda place: students.model.build(schemas[place]), seeds))  # noqa: E731
    width = _width(course, members[0])
    tasks = len(course.impressions.tasks)
    apart = [derived_seed(seed, "auxiliary") for seed in seeds]
    heads = lambda: Fleet(seeded(lambda _: AuxiliaryHead(width, tasks), apart))  # noqa: E731
    return Learner(fleet, Objective(distillation), pace, heads if head == "auxiliary" else None)


def _width(course: Course, member: Member) -> int:
    """Width of a student's representation."""
    ranker = course.students.model.build(course.view.schema(member.vertical)).eval()
    row = torch.from_numpy(course.impressions.select(TRAIN, member.vertical)[:1])
    return ranker(course.view.take(row).features).representation.shape[-1]


def _scores(course: Course, member: Member, state: dict[str, Tensor]) -> Tensor:
    ranker = course.students.model.build(course.view.schema(member.vertical)).eval()
    ranker.load_state_dict(state)
    rows = course.impressions.select(TEST, member.vertical)
    chunks = [prediction.logit for _, prediction in predictions(ranker, course.view, rows)]
    return torch.cat(chunks) if chunks else torch.zeros(0, len(course.impressions.tasks))
