"""Impressions to measure with: a generated Parquet, read by the same code as any other."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from distill.bench.rounds import Scale
from distill.data.impressions import Impressions, load
from distill.data.settings import DataSettings

SPREAD = 0.5
"""Standard deviation of what one id adds to the log-odds; enough to learn from in one pass."""


class Shape(NamedTuple):
    """How large impressions are, and the students that learn from them.

    Attributes:
        fields: number of categorical features.
        ids: values of each of them, equally often in every vertical.
        numeric: number of numeric features.
        embedding: width of an embedding.
        hidden: widths of the perceptron.
        history: steps of the user's history; none where 0.
    """

    fields: int
    ids: int
    numeric: int
    embedding: int
    hidden: tuple[int, ...]
    history: int = 0

    def at(self, scale: Scale) -> "Shape":
        """The same with fewer ids."""
        return self._replace(ids=scale.of(self.ids, least=4))


SMALL = Shape(fields=12, ids=1000, numeric=3, embedding=8, hidden=(64, 32))
MEDIUM = Shape(fields=20, ids=8750, numeric=5, embedding=16, hidden=(256, 128, 64))


def section(shape: Shape, path: Path) -> dict[str, object]:
    """The data section of a recipe for such impressions, as one writes it."""
    features: dict[str, object] = {f"id_{number}": "categorical" for number in range(shape.fields)}
    features |= {f"number_{number}": "numeric" for number in range(shape.numeric)}
    if shape.history:
        columns = {"history": "id_0"}
        features["clicked"] = {"kind": "sequence", "columns": columns, "newest": "first", "length": shape.history}
    split = {"by": "column", "column": "split"}
    return {"path": str(path), "row_id": "row_id", "split": split, "features": features}


def generate(shape: Shape, verticals: int, rows: int, folder: Path, held_out: float = 0.0) -> Path:
    """Writes the impressions, and beside them `scores.parquet`, what a teacher that knows the truth says of them.

    Args:
        shape: of one impression.
        verticals: number of verticals, all of one size.
        rows: training rows of each.
        folder: where the two files go.
        held_out: validation rows, and as many test rows, as a share of the training rows.

    Returns:
        Path of the impressions.
    """
    generator = np.random.default_rng(0)
    splits = ["train"] * rows + [name for name in ("valid", "test") for _ in range(round(held_out * rows))]
    every = verticals * len(splits)
    in_order = np.tile(np.arange(len(splits)) % shape.ids, (shape.fields, verticals, 1))
    ids = generator.permuted(in_order, axis=-1).reshape(shape.fields, every)
    effects = generator.normal(0, SPREAD, (shape.fields, shape.ids))
    logit = np.take_along_axis(effects, ids, axis=1).sum(0) - 1
    columns = {f"id_{number}": field for number, field in enumerate(ids)}
    columns |= {f"number_{number}": generator.standard_normal(every) for number in range(shape.numeric)}
    if shape.history:
        columns["history"] = list(generator.integers(shape.ids, size=(every, shape.history)))
    columns["label"] = (generator.random(every) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    columns["split"] = np.tile(splits, verticals)
    columns["vertical"] = np.repeat([f"v{number:04d}" for number in range(verticals)], len(splits))
    columns["row_id"] = np.arange(every)
    pl.DataFrame(columns).write_parquet(folder / "impressions.parquet")
    pl.DataFrame({"row_id": columns["row_id"], "logit": logit}).write_parquet(folder / "scores.parquet")
    return folder / "impressions.parquet"


def generated(shape: Shape, verticals: int, rows: int, folder: Path) -> Impressions:
    """Generates impressions, all of them training rows, and reads them."""
    return encoded(shape, generate(shape, verticals, rows, folder), folder)


def encoded(shape: Shape, path: Path, folder: Path) -> Impressions:
    """The impressions in a file, encoded below a folder at the first call and found there at the later ones."""
    return load(DataSettings.model_validate(section(shape, path)), folder / "data")
