"""A recipe that has been run: two verticals, one of every kind of feature, an auxiliary head, and its exports."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

from distill.export import Wanted, export
from distill.pipeline import run
from distill.progress import Progress
from distill.recipe import Recipe, load

RECIPE = """
name: small
data:
  path: impressions.parquet
  row_id: id
  split: {by: column, column: split}
  negatives: {students: 0.5}
  features:
    item: categorical
    place: {kind: categorical, min_count: 2}
    hashed: {kind: categorical, column: place, hash: 7}
    both: {kind: cross, columns: [item, place], hash: 31}
    age: {kind: numeric, missing: indicator}
    steps: {kind: bucketised, column: age, buckets: 4}
    seen: {kind: sequence, columns: {seen: item}, newest: last, length: 3}
    tags: {kind: multi_valued, length: 2, pool: sum}
    text: {kind: vector, width: 3}
teacher:
  knowledge: scores.parquet
students:
  model: {class: students.DeepFM, embedding: 4, hidden: [8, 4]}
  train: {epochs: 2, batch: 64, learning_rate: 0.02}
  distill: {logit: {weight: 0.5, head: auxiliary}}
evidence: {resamples: 100}
"""


class Ran(NamedTuple):
    """A recipe that has been run, its raw rows, and the exports of its students."""

    recipe: Recipe
    frame: pl.DataFrame
    folder: Path
    table: dict[str, Any]

    @property
    def exports(self) -> Path:
        return self.folder / "exports"

    @property
    def first(self) -> Path:
        return Path(self.table["students"][0]["folder"])


def impressions(rows: int = 1200) -> pl.DataFrame:
    rng = np.random.default_rng(5)
    lists = lambda high, most: [rng.integers(high, size=n).tolist() for n in rng.integers(most, size=rows)]  # noqa: E731
    return pl.DataFrame(
        {
            "id": rng.permutation(rows) + 10_000,
            "label": rng.integers(2, size=rows),
            "vertical": rng.choice(["a/../b", "cars"], size=rows),
            "split": rng.choice(["train", "valid", "test"], size=rows, p=[0.7, 0.1, 0.2]),
            "item": [None if x == 0 else x for x in rng.integers(40, size=rows).tolist()],
            "place": [None if x == 0 else f"p{x}" for x in rng.integers(30, size=rows).tolist()],
            "age": [None if x < 20 else x for x in rng.normal(40, 15, size=rows).tolist()],
            "seen": lists(45, 6),
            "tags": [[f"t{x}" for x in row] for row in lists(6, 4)],
            "text": rng.normal(size=(rows, 3)).tolist(),
        }
    )


def write_recipe(folder: Path) -> pl.DataFrame:
    """Recipe, impressions and scores in a folder; returns the impressions."""
    frame = impressions()
    frame.write_parquet(folder / "impressions.parquet")
    scores = pl.DataFrame({"row_id": frame["id"], "logit": np.random.default_rng(6).normal(size=len(frame))})
    scores.write_parquet(folder / "scores.parquet")
    (folder / "small.yaml").write_text(RECIPE)
    return frame


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("export")
    frame = write_recipe(folder)
    recipe = load(folder / "small.yaml", [f"store={folder}/mlruns", "tracking.uri=null"])
    run(recipe, Progress())
    return Ran(recipe, frame, folder, export(recipe, Wanted(), folder / "exports", [], Progress()))
