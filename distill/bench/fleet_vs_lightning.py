"""fleet-vs-lightning: a run of 100 students against a Lightning Trainer for each of them, whole processes."""

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from distill.bench.children import command, ended
from distill.bench.figure import Figure
from distill.bench.impressions import SMALL, Shape, encoded, generate, section
from distill.bench.job import LEARNING_RATE
from distill.bench.rounds import Scale, Work, in_turn, ratios
from distill.bench.rows import rows_of
from distill.data.impressions import TRAIN
from distill.knowledge import KnowledgeStore, import_table

VERTICALS, ROWS, BATCH = 50, 20_000, 1024
"""Each vertical has a student with a teacher and one without, which read its rows once."""

HELD_OUT = 0.02
"""Share of rows on which our side judges its students, which the other side does not."""


def measure(scale: Scale) -> Iterator[Figure]:
    """CPU seconds from nothing to all students trained and in MLflow, theirs over ours."""
    shape, batch = SMALL.at(scale), scale.of(BATCH, 8)
    with TemporaryDirectory() as name:
        folder = Path(name)
        path = generate(shape, scale.of(VERTICALS, 2), scale.of(ROWS, 200), folder, HELD_OUT)
        works = _run(shape, path, batch, folder), _lightning(shape, path, batch, folder)
        ours, theirs = in_turn(scale, *works, warm=False)
    yield Figure("fleet-vs-lightning", ratios(theirs, ours), target=10)
    yield Figure("fleet-vs-lightning/ours", ours, "CPU s")
    yield Figure("fleet-vs-lightning/theirs", theirs, "CPU s")


def _run(shape: Shape, path: Path, batch: int, folder: Path) -> Work:
    """`distill run`, whose teacher has scored the rows already: data, students, their twins, leaderboard, MLflow."""
    train = {"epochs": 1, "batch": batch, "least_steps": 1, "learning_rate": LEARNING_RATE, "schedule": "constant"}
    model = {"class": "students.DeepFM", "embedding": shape.embedding, "hidden": shape.hidden}
    recipe = {
        "name": "bench",
        "data": section(shape, path),
        "teacher": {"knowledge": str(folder / "scores.parquet")},
        "students": {"model": model, "train": train},
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe))  # JSON is YAML.

    def work() -> None:
        with TemporaryDirectory(dir=folder) as fresh:
            ended(command("distill.cli", "run", folder / "recipe.yaml"), Path(fresh))

    return work


def _lightning(shape: Shape, path: Path, batch: int, folder: Path) -> Work:
    """A program of its own, for which the rows lie encoded in one file."""
    impressions = encoded(shape, path, folder)
    knowledge = import_table(folder / "scores.parquet", impressions, KnowledgeStore(folder / "knowledge"))
    verticals = []
    for vertical, rows in zip(impressions.verticals, rows_of(impressions), strict=True):
        own = torch.from_numpy(impressions.select(TRAIN, vertical))
        score = knowledge.take(own, representation=False).prediction.logit[:, 0].sigmoid()
        verticals.append(rows.in_one_table()._asdict() | {"score": score})
    torch.save({"verticals": verticals, "shape": shape._asdict(), "batch": batch}, folder / "rows.pt")

    def work() -> None:
        with TemporaryDirectory(dir=folder) as fresh:
            ended(command("distill.bench.lightning_students", folder / "rows.pt"), Path(fresh))

    return work
