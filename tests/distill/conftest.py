"""A small world with features of every kind, and a teacher trained on it."""

from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest
from at_hand import small_log

from distill.data.impressions import Impressions, load
from distill.data.settings import DataSettings
from distill.knowledge import Knowledge, KnowledgeStore
from distill.recipe.sections import TrainedTeacher
from distill.scoring import Lesson, knowledge_of

FEATURES = {
    "user_id": "categorical",
    "item_id": {"kind": "categorical", "hide": 0.2},
    "device": {"kind": "categorical", "hash": 7},
    "hour": {"kind": "bucketised", "buckets": 4},
    "user_activity": "numeric",
    "item_age": {"kind": "numeric", "missing": "indicator"},
    "tags": {"kind": "multi_valued", "length": 3},
    "clicked": {"kind": "sequence", "columns": {"hist_items": "item_id"}, "newest": "first", "length": 4},
    "text": {"kind": "vector", "width": 3},
}
TEACHER = {
    "model": {"class": "students.DNN", "embedding": 6, "hidden": [12, 5]},
    "train": {"batch": 64, "learning_rate": 5e-3},
    "score": {"kind": "time_ahead"},
}


class Taught(NamedTuple):
    """A teacher that has been trained, with what and into which store."""

    impressions: Impressions
    lesson: Lesson
    knowledge: Knowledge
    store: KnowledgeStore


def everything() -> pl.DataFrame:
    """The generated world, and beside it some nulls, a set and a vector."""
    frame = small_log()
    item = pl.col("item_id")
    return frame.with_columns(
        item_id=pl.when(item % 11 == 0).then(None).otherwise(item),
        item_age=pl.when(item % 7 == 0).then(None).otherwise("item_age"),
        tags=pl.concat_list(item % 5, pl.col("user_id") % 4),
        text=pl.concat_list(item.sin(), pl.col("user_id").cos(), pl.lit(0.5)),
    )


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    folder = tmp_path_factory.mktemp("taught")
    return taught_in(folder, everything())


def taught_in(folder: Path, frame: pl.DataFrame) -> Taught:
    """The same teacher, trained on other rows."""
    folder.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(folder / "rows.parquet")
    settings = {
        "path": folder / "rows.parquet",
        "time": "time",
        "user": "user_id",
        "split": {"by": "column", "column": "split"},
        "features": FEATURES,
    }
    impressions = load(DataSettings.model_validate(settings), folder / "data")
    lesson = Lesson(
        TrainedTeacher.model_validate(TEACHER), impressions, impressions.view(None, "all"), 3, lambda rows: None
    )
    store = KnowledgeStore(folder / "knowledge")
    return Taught(impressions, lesson, knowledge_of(lesson, store), store)
