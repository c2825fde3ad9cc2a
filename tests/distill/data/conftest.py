"""A small table of impressions that has one of everything, and ways to load it."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from distill.data.impressions import Impressions, load
from distill.data.public.listing import SETS
from distill.data.public.publicset import PublicSet
from distill.data.settings import DataSettings
from tests.distill.data.published import WRITERS

LoadFrame = Callable[..., Impressions]


def _table() -> pl.DataFrame:
    """60 rows of three verticals in two domains, twenty rows for each split, in the order of time."""
    rng = np.random.default_rng(0)
    rows = 60
    vertical = np.array(["cars", "food", "toys"])[rng.integers(3, size=rows)]
    items = rng.integers(12, size=rows)
    lengths = rng.integers(6, size=rows)
    return pl.DataFrame(
        {
            "id": np.arange(1000, 1000 + rows),
            "label": rng.integers(2, size=rows),
            "bought": [None if x == 2 else x for x in rng.integers(3, size=rows).tolist()],
            "vertical": vertical,
            "domain": np.where(vertical == "food", "daily", "rare"),
            "split": np.repeat(["train", "valid", "test"], [40, 10, 10]),
            "moment": np.arange(rows) // 2,
            "user": [f"u{n}" for n in rng.integers(9, size=rows)],
            "weight": rng.integers(1, 4, size=rows) / 2,
            "item": items,
            "place": ["ab"[n] if n < 2 else None for n in rng.integers(3, size=rows).tolist()],
            "age": rng.normal(5, 2, size=rows),
            "seen": [rng.integers(12, size=n).tolist() for n in lengths],
            "stars": [rng.integers(1, 6, size=n).tolist() for n in lengths],
            "tags": [rng.choice(list("xyz"), size=n, replace=False).tolist() for n in rng.integers(4, size=rows)],
            "text": [rng.normal(size=3).tolist() for _ in range(rows)],
        }
    )


FEATURES: dict[str, Any] = {
    "item": "categorical",
    "place": {"kind": "categorical", "hide": 0.25},
    "age": "numeric",
    "history": {"kind": "sequence", "columns": {"seen": "item", "stars": None}, "newest": "first", "length": 4},
    "tags": {"kind": "multi_valued", "length": 2, "pool": "sum"},
    "text": {"kind": "vector", "width": 3},
}


def _settings(**changes: Any) -> DataSettings:
    plain = {"vertical": "vertical", "split": {"by": "column", "column": "split"}, "features": FEATURES}
    return DataSettings.model_validate(plain | changes)


@pytest.fixture
def table() -> pl.DataFrame:
    return _table()


@pytest.fixture(scope="session")
def settings() -> Callable[..., DataSettings]:
    """A data section that fits the table, with some keys changed."""
    return _settings


@pytest.fixture(scope="session")
def load_frame(tmp_path_factory: pytest.TempPathFactory) -> LoadFrame:
    """Writes a frame as Parquet in a place of its own, and loads it there."""
    numbers = count()
    folder = tmp_path_factory.mktemp("frames")

    def load_it(frame: pl.DataFrame, **changes: Any) -> Impressions:
        path: Path = folder / f"{next(numbers)}.parquet"
        frame.write_parquet(path)
        return load(_settings(path=path, **changes), folder / path.stem)

    return load_it


@pytest.fixture(params=SETS.values(), ids=lambda one: one.name)
def one(request: pytest.FixtureRequest) -> PublicSet:
    """Each public set."""
    return request.param


@pytest.fixture
def published(one: PublicSet, tmp_path: Path) -> Path:
    """A folder with the files of a public set, as published."""
    folder = tmp_path / "published"
    folder.mkdir()
    WRITERS[one.name](folder)
    return folder
