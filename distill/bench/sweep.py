"""sweep: a sweep as one against a process for each of its students.

A program for a sweep of one's own: `python -m distill.bench.sweep SWEEP [KEY=VALUE ...]`.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch

from distill.bench import memory
from distill.bench.children import command, ended
from distill.bench.figure import Figure
from distill.bench.impressions import SMALL, generate, section
from distill.bench.rounds import Scale, seconds_of
from distill.errors import Fault, RecipeError
from distill.member import Member
from distill.progress import Progress
from distill.store import Store
from distill.sweep import load
from distill.sweep.pool import Pool, taught
from distill.training import train_students
from distill.workers import Job, course_for

VERTICALS, ROWS, HELD_OUT = 25, 1000, 0.1
SAMPLE = 20
"""Students that are trained each in a process of its own."""

VARIED = {
    "students.train.learning_rate": [1e-3, 2e-3],
    "students.distill.logit.weight": [0.25, 0.5],
    "students.distill.logit.temperature": [1.0, 2.0],
    "students.seeds": [2],
}


class Apart(NamedTuple):
    """CPU seconds of one student by itself: of its whole process, and of what it does once all is imported and read."""

    whole: float
    training: float


def measure(scale: Scale) -> Iterator[Figure]:
    """A small sweep on generated impressions, in one round."""
    with TemporaryDirectory() as name:
        yield from measured(_written(scale, Path(name)), [], scale.of(SAMPLE, 2))


def measured(path: Path, overrides: Sequence[str], count: int = SAMPLE) -> Iterator[Figure]:
    """CPU seconds of all students in processes of their own, from a sample of them, over those of the sweep.

    Data and teacher are read and learned before, for both sides. The sweep is the whole command, with leaderboards and
    MLflow; a process of a student trains and scores it, and does no more. A student that several points have counts
    once.

    Args:
        path: of the sweep.
        overrides: `key=value`, as on the command line.
        count: size of the sample.

    Raises:
        RecipeError: the sweep is halved or searches, so that its students are not those of its points.
    """
    sweep = load(path, overrides)
    if sweep.halving is not None:
        raise RecipeError(
            Fault(str(path), "how much work a halved sweep is turns out on the way.", "Leave halving out.")
        )
    store = Store(sweep.base.store)
    pool = Pool(taught(sweep.points, store, Progress()), store, lambda rows: None)
    members = list({member.fingerprint: member for member in pool.everyone}.values())
    wanting = sum(len(cohort.members) for cohort in pool.wanting())
    ours = yield from _together(path, overrides, "" if wanting == len(members) else "some students are there already")
    parts = sample(members, count)
    alone = [_apart(pool.jobs[member.stack], member, store.root) for member, _ in parts]
    whole = sum(size * one.whole for (_, size), one in zip(parts, alone, strict=True))
    training = sum(size * one.training for (_, size), one in zip(parts, alone, strict=True))
    yield Figure("sweep/students", [len(members)], "students")
    yield Figure("sweep/separately", [whole], "CPU s")
    yield Figure("sweep", [whole / one for one in ours], reason="the sweep was not timed")
    yield Figure("sweep/without-starts", [training / one for one in ours], reason="the sweep was not timed")


def sample(members: Sequence[Member], count: int) -> list[tuple[Member, int]]:
    """Of each of `count` equal parts of the members, in the order of their rows, the one with most nearly its mean.

    Returns:
        The member, and how many it stands for: where seconds grow as rows do, these make up the sum.
    """
    ordered = sorted(members, key=lambda one: one.rows)
    parts = [[ordered[place] for place in part] for part in np.array_split(np.arange(len(ordered)), count)]
    return [(_middle(part), len(part)) for part in parts if part]


def _middle(members: Sequence[Member]) -> Member:
    """Of those with the same number of rows, one by chance: its fingerprint's."""
    mean = np.mean([one.rows for one in members])
    return min(members, key=lambda one: (abs(one.rows - mean), one.fingerprint))


def _together(path: Path, overrides: Sequence[str], there: str) -> Iterator[Figure]:
    """The sweep; yields what it took, and returns its CPU seconds, or none where there was nothing to time."""
    if there:
        yield Figure("sweep/together", [], reason=there)
        return []
    start = time.perf_counter()
    seconds = seconds_of(partial(ended, command("distill.cli", "sweep", path, *overrides), Path.cwd()))
    yield Figure("sweep/wall-clock", [time.perf_counter() - start], "s")
    largest = memory.largest_child()
    reason = "" if largest else "the benchmark itself had more in memory"
    yield Figure("sweep/largest-process", [largest / 2**30] if largest else [], "GiB", reason=reason)
    yield Figure("sweep/together", [seconds], "CPU s")
    return [seconds]


def _apart(job: Job, member: Member, folder: Path) -> Apart:
    """A student in a fresh process, which finds data and teacher in the store."""
    training: list[float] = []

    def work() -> None:
        with (
            TemporaryDirectory(dir=folder) as name,
            ProcessPoolExecutor(1, get_context("spawn")) as process,
        ):
            training.append(process.submit(_train, job, member, Path(name)).result())

    return Apart(seconds_of(work), *training)


def _train(job: Job, member: Member, folder: Path) -> float:
    """CPU seconds of training and scoring one student."""
    torch.set_num_threads(1)
    course = course_for(job, lambda rows: None)
    return seconds_of(partial(train_students, [member], course, folder / "cohorts", folder / "stopping"))


def _written(scale: Scale, folder: Path) -> Path:
    """A sweep whose teacher is a file of scores."""
    shape = SMALL.at(scale)
    path = generate(shape, scale.of(VERTICALS, 2), scale.of(ROWS, 200), folder, HELD_OUT)
    model = {"class": "students.DeepFM", "embedding": shape.embedding, "hidden": shape.hidden}
    recipe = {
        "name": "bench",
        "data": section(shape, path),
        "teacher": {"knowledge": str(folder / "scores.parquet")},
        "students": {"model": model, "train": {"epochs": 2, "batch": 256}},
        "store": str(folder),
        "tracking": {"uri": f"sqlite:///{folder}/mlflow.db"},
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe))  # JSON is YAML.
    (folder / "sweep.yaml").write_text(json.dumps({"base": "recipe.yaml", "grid": VARIED}, indent=1))
    return folder / "sweep.yaml"


if __name__ == "__main__":
    for figure in measured(Path(sys.argv[1]), sys.argv[2:]):
        print(figure, flush=True)
