"""Cohort: members that train as one stack, and what is kept of them on disk."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Literal, NamedTuple

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from distill.callbacks import Advance, Checkpoint, Passes
from distill.channels import (
    adapters_of,
    agreement_of,
    distillation_of,
    feed_of,
    groups_of,
    heads_of,
    matching_of,
    ranking_of,
    width_of,
)
from distill.checkpoints import Checkpoints
from distill.course import Course
from distill.data.impressions import TEST, VALID
from distill.feed import predictions
from distill.files import discard, read_json, whole_folder, write_json
from distill.fingerprint import fingerprint
from distill.fleet import Fleet, seeded
from distill.learner import Learner, Pace, train
from distill.member import Member
from distill.objective import Objective
from distill.optimizer import Rates
from distill.ranker import Ranker
from distill.recorder import ADAPTER, Recorder
from distill.refining import refined
from distill.sampling import Shuffled
from distill.schedule import Schedule
from distill.stopping import Validation

CHECKPOINT = 30.0
"""Seconds between two checkpoints of a cohort: what a killed worker loses at most."""


class Trained(NamedTuple):
    """What is known of a cohort before anything is decided.

    Attributes:
        validations: how each member did after each pass.
        curves: mean training loss of each member in each pass, in nats.
        failed: place of a member -> why it failed.
        cosines: of the gradients of label and teacher, of each member after each pass; empty where
            there is no teacher.
    """

    validations: list[Validation]
    curves: list[list[float]]
    failed: dict[int, str]
    cosines: list[list[float | None]]


class Measured(NamedTuple):
    """How fast members were trained.

    Attributes:
        shape: fingerprint of what they are.
        rows: rows of all their steps together.
        seconds: in which these were taken.
    """

    shape: str
    rows: int
    seconds: float


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
    def stack(self) -> str:
        """What its members have in common."""
        return self.members[0].stack

    @property
    def trained(self) -> bool:
        """Whether its passes are there."""
        return (self.folder / "trained").exists()

    @property
    def present(self) -> set[str]:
        """Fingerprints of its members, but for those that were forgotten in order to be trained again."""
        path = self.folder / "forgotten.json"
        return {member.fingerprint for member in self.members} - set(read_json(path) if path.exists() else [])

    def forget(self, fingerprints: set[str]) -> None:
        """Lets go of members, that they may be trained again; of its whole training, if nobody is left."""
        left = self.present - fingerprints
        if left:
            forgotten = {member.fingerprint for member in self.members} - left
            write_json(self.folder / "forgotten.json", sorted(forgotten))
        else:
            discard(self.folder)

    @property
    def judged(self) -> bool:
        """Whether its students are there."""
        return (self.folder / "students").exists()

    def train(self, course: Course) -> None:
        """Trains its members, from the last checkpoint if there is one, and keeps them as they are after each pass."""
        checkpoints = Checkpoints(self.folder / "checkpoints")
        with whole_folder(self.folder / "trained") as draft:
            view = course.seen(self.members[0])
            students = course.students
            rows, by = course.impressions, students.stopping.by
            recorder = Recorder(students.train.epochs, self.members, rows, view, by)
            pace = _train(self.members, course, recorder, checkpoints)
            recorder.save(draft)
            write_json(draft / "members.json", [member._asdict() for member in self.members])
            write_json(draft / "pace.json", pace._asdict())
        checkpoints.clear()

    def result(self) -> Trained:
        """What training showed."""
        record = read_json(self.folder / "trained" / "record.json")
        validations = [
            Validation(_numbers(one["cross_entropy"]), *one["rest"], _numbers(one.get("misordered", [])))
            for one in record["validations"]
        ]
        failed = {int(place): why for place, why in record["failed"].items()}
        # Cohorts that were trained before cosines were taken down have none.
        return Trained(validations, record["curves"], failed, record.get("cosines", [[] for _ in self.members]))

    def judge(self, course: Course, passes: Sequence[int]) -> None:
        """Takes each member after the pass that was decided for it, and scores its test rows."""
        failed = self.result().failed
        weights: dict[str, Tensor] = {}
        scores: dict[str, Tensor] = {}
        valid: dict[str, Tensor] = {}
        beside: dict[str, Tensor] = {}
        for place, (member, number) in enumerate(zip(self.members, passes, strict=True)):
            if place not in failed:
                path = self.folder / "trained" / f"pass-{number}.safetensors"
                state = _state(path, place)
                weights |= {f"{place}/{name}": tensor for name, tensor in state.items()}
                scores[str(place)] = _scores(course, member, state, TEST)
                valid[str(place)] = _scores(course, member, state, VALID)
                said = _refined(course, member, state, _state(path, f"{ADAPTER}/{place}"))
                beside |= {f"{place}/{name}": tensor for name, tensor in said.items()}
        with whole_folder(self.folder / "students") as draft:
            save_file(weights, draft / "weights.safetensors")
            save_file(scores, draft / "scores.safetensors")
            save_file(valid, draft / "valid.safetensors")
            save_file(beside, draft / "refined.safetensors")
            write_json(draft / "passes.json", list(passes))
        for path in (self.folder / "trained").glob("pass-*.safetensors"):
            path.unlink()

    def scores(self, name: Literal["scores", "valid"] = "scores") -> dict[int, np.ndarray]:
        """Log-odds of each member on the test rows of its vertical, `[rows, tasks]`, or on its validation rows
        (`valid`); failed members are missing.
        """
        with safe_open(self.folder / "students" / f"{name}.safetensors", "numpy") as file:
            return {int(place): file.get_tensor(place) for place in file.keys()}  # noqa: SIM118

    def refined(self, place: int) -> dict[str, np.ndarray]:
        """What a member's adapter made of the marks of its test rows, and what two numbers would have: see `refining`;
        empty where it had none.
        """
        path = self.folder / "students" / "refined.safetensors"
        return {name: tensor.numpy() for name, tensor in _state(path, place).items()} if path.exists() else {}

    def weights(self, place: int) -> dict[str, Tensor]:
        """What a member is served with: its own names, its own shapes, and no head that only helped it to learn."""
        return _state(self.folder / "students" / "weights.safetensors", place)

    def passes(self) -> list[int]:
        """After which pass each member was taken."""
        return read_json(self.folder / "students" / "passes.json")


def _numbers(costs: Sequence[float | None]) -> np.ndarray:
    """Costs of passes, NaN where there is none."""
    return np.array([np.nan if cost is None else cost for cost in costs])


def _state(path: Path, place: int | str) -> dict[str, Tensor]:
    """The tensors of one member, from a file of those of all."""
    prefix = f"{place}/"
    with safe_open(path, "torch") as file:
        names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
        return {name.removeprefix(prefix): file.get_tensor(name) for name in names}


def find(folder: Path) -> list[Cohort]:
    """Every cohort below a folder whose training is complete; those of an older `FORMAT` are passed over."""
    found = [read_json(path) for path in sorted(folder.glob("*/trained/members.json"))]
    ours = [members for members in found if all(facts.keys() == set(Member._fields) for facts in members)]
    return [Cohort(folder, [Member(**facts) for facts in members]) for members in ours]


def _train(members: Sequence[Member], course: Course, recorder: Recorder, checkpoints: Checkpoints) -> Measured:
    settings = course.students.train
    seeds = [member.random_seed for member in members]
    rows = rows_of(members, course)
    state, failed, first = checkpoints.latest(recorder)
    epochs = [settings.epochs] * len(members)
    groups = groups_of(members, course, rows)
    steps = Shuffled(rows, seeds, settings.batch, epochs, settings.least_steps, first, groups)
    learner = learner_of(members, course, steps.steps)
    learner.resume(state, first, failed)
    learner.setbacks, recorder.adapters = recorder.setbacks, lambda: learner.adapters
    course.tell(steps.seen(first))
    view = course.seen(members[0])
    feed = feed_of(course, view, steps, seeds, first)
    save = Checkpoint(partial(checkpoints.save, recorder), CHECKPOINT)
    agreement = agreement_of(members, course, rows, steps.pass_steps, recorder.agree)
    callbacks = [Passes(steps.pass_steps, recorder.keep), agreement, Advance(course.tell), save]
    start = monotonic()
    train(learner, feed, callbacks, course.trainer.device, settings.precision)
    seconds, seen = monotonic() - start, steps.seen(int(steps.steps[0])) - steps.seen(first)
    for place, step in learner.failed.items():
        recorder.failed[place] = f"its loss was no longer finite at step {step}"
    return Measured(fingerprint(course.students.model.shape), seen, seconds)


def rows_of(members: Sequence[Member], course: Course) -> list[np.ndarray]:
    """The training rows of each member."""
    return [course.impressions.training_rows(one.vertical, "students", one.random_seed) for one in members]


def learner_of(members: Sequence[Member], course: Course, steps: Tensor) -> Learner:
    """What trains members as one stack.

    Args:
        members: in the order of the stack.
        course: what they are trained with.
        steps: of each.
    """
    students, settings = course.students, [member.settings for member in members]
    seeds = tuple(member.random_seed for member in members)
    train = students.train
    pace = Pace(Rates.of(settings), steps, seeds, train.schedule, members[0].tables, train.clip)
    fleet = lambda: Fleet(seeded(lambda place: course.fresh(members[place]), seeds))  # noqa: E731
    objective = Objective(
        distillation_of(course, settings),
        matching_of(course, settings),
        ranking_of(course, settings),
        Schedule.of(settings),
    )
    heads, adapters = heads_of(course, members), adapters_of(course, members, partial(width_of, course, members[0]))
    return Learner(fleet, objective, pace, heads, adapters, compiled=course.trainer.compile)


def _refined(course: Course, member: Member, state: dict[str, Tensor], adapter: dict[str, Tensor]) -> dict[str, Tensor]:
    """What a member's adapter says of its test rows; nothing where it has none, or is not taught."""
    if not adapter or member.arm == "control":
        return {}
    return refined(course, member, _ranker(course, member, state), adapter)


def _ranker(course: Course, member: Member, state: dict[str, Tensor]) -> Ranker:
    """A member as it was taken."""
    ranker = course.students.model.build(course.seen(member).schema(member.vertical)).eval()
    ranker.load_state_dict(state)
    return ranker


def _scores(course: Course, member: Member, state: dict[str, Tensor], split: int) -> Tensor:
    ranker, view = _ranker(course, member, state), course.seen(member)
    rows, correction = course.impressions.select(split, member.vertical), course.impressions.correction("students")
    chunks = [prediction.logit for _, prediction in predictions(ranker, view, rows, correction)]
    return torch.cat(chunks) if chunks else torch.zeros(0, len(course.impressions.tasks))
