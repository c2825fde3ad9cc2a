"""scaling: time and memory against the number of members."""

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
from distill.bench.figure import Figure
from distill.bench.impressions import SMALL, encoded, generated
from distill.bench.rounds import Scale, seconds_of
from distill.course import Course
from distill.knowledge import KnowledgeStore, import_table
from distill.member import roster
from distill.recipe.sections import Students
from distill.training import train_students

MEMBERS = (10, 100, 1000)
VERTICALS, ROWS, BATCH = 5, 512, 128
"""Each vertical has students of as many seeds as it takes, and the twin of each."""


class Cost(NamedTuple):
    """What training some members cost: CPU seconds, and the most bytes that the process ever had."""

    seconds: float
    peak: int


def measure(scale: Scale) -> Iterator[Figure]:
    """Members trained as the pipeline does it, each number of them in a process of its own."""
    numbers = [2 * VERTICALS * scale.of(number // (2 * VERTICALS), place) for place, number in enumerate(MEMBERS, 1)]
    with TemporaryDirectory() as name:
        folder, rows = Path(name), scale.of(ROWS, 32)
        impressions = generated(SMALL.at(scale), VERTICALS, rows, folder)
        import_table(folder / "scores.parquet", impressions, KnowledgeStore(folder / "knowledge"))  # found from now on
        rounds = [[_alone(folder, number) for number in numbers] for _ in range(scale.rounds)]
    slopes = [slope(numbers, [cost.seconds for cost in costs]) for costs in rounds]
    yield Figure("scaling", slopes, "slope", 1.05, "at most")
    for number, costs in zip(numbers, zip(*rounds, strict=True), strict=True):
        yield Figure(f"scaling/{number}-members", [cost.seconds / number * 1000 for cost in costs], "ms a member")
    fewest, most = numbers[0], numbers[-1]
    grown = [(costs[-1].peak - costs[0].peak) / (most - fewest) for costs in rounds] if memory.known() else []
    yield Figure("scaling/memory", grown, "bytes a member", reason="" if grown else memory.UNKNOWN)


def slope(numbers: Sequence[int], seconds: Sequence[float]) -> float:
    """Of the least-squares line through logs of both; 1 where time grows as the number does.

    Example:
        >>> round(slope([10, 100, 1000], [1.0, 10.0, 100.0]), 6)
        1.0
    """
    return float(np.polyfit(np.log(numbers), np.log(seconds), 1)[0])


def _alone(folder: Path, members: int) -> Cost:
    """In a fresh process, whose memory is its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(_trained, folder, members).result()


def _trained(folder: Path, members: int) -> Cost:
    torch.set_num_threads(1)
    impressions = encoded(SMALL, folder / "impressions.parquet", folder)
    knowledge = import_table(folder / "scores.parquet", impressions, KnowledgeStore(folder / "knowledge"))
    train = {"epochs": 1, "batch": BATCH, "least_steps": 1}
    model = {"class": "students.DeepFM", "embedding": SMALL.embedding, "hidden": SMALL.hidden}
    students = Students.model_validate({"model": model, "train": train, "seeds": members // (2 * VERTICALS)})
    view = impressions.view(None, "vertical")
    course = Course(students, impressions, view, knowledge, lambda rows: None)
    everyone = roster(students, impressions, view, knowledge.manifest.fingerprint, seed=0)
    with TemporaryDirectory(dir=folder) as name:
        work = partial(train_students, everyone, course, Path(name) / "cohorts", Path(name) / "stopping")
        return Cost(seconds_of(work), memory.peak() if memory.known() else 0)
