"""A log that grows by a day: who learns again, and who is found."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from distill.data.impressions import Impressions, load
from distill.knowledge import import_table
from distill.member import Member
from distill.recipe import load as load_recipe
from distill.store import Store
from distill.transfer import members_of

RECIPE = """
name: growth
data:
  path: log/*.parquet
  label: label
  vertical: vertical
  row_id: row
  time: time
  split: {by: time, valid: 60, test: 80}
  features: {x: categorical}
teacher: {knowledge: scores.parquet}
students: {model: {class: students.LR}}
tracking: {uri: null}
"""


def day(first: int, rows: int, verticals: list[str], time: int) -> pl.DataFrame:
    number = np.arange(first, first + rows)
    rng = np.random.default_rng(first)
    return pl.DataFrame(
        {
            "row": number,
            "label": rng.integers(2, size=rows),
            "vertical": [verticals[place % len(verticals)] for place in range(rows)],
            "time": time + np.arange(rows) * 20 // rows,
            "x": rng.integers(5, size=rows),
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "growth.yaml").write_text(RECIPE)
    (tmp_path / "log").mkdir()
    for place, time in enumerate(range(0, 100, 20)):
        day(place * 60, 60, ["a", "b", "c"], time).write_parquet(tmp_path / f"log/{place}.parquet")
    return tmp_path


def marked(folder: Path, *changed: int) -> None:
    """The teacher's table, of every row that is there; some marks are others than they were."""
    rows = pl.read_parquet(folder / "log/*.parquet").select(row_id="row")
    logit = pl.when(pl.col("row_id").is_in(changed)).then(1.0).otherwise((pl.col("row_id") % 7) / 7.0 - 0.5)
    rows.with_columns(logit=logit).write_parquet(folder / "scores.parquet")


def students(folder: Path, *overrides: str) -> tuple[Impressions, dict[tuple[str, str], Member]]:
    recipe = load_recipe(folder / "growth.yaml", [f"store={folder}/mlruns", *overrides])
    store = Store(recipe.store)
    impressions = load(recipe.data, store.data)
    table = import_table(recipe.teacher.knowledge, impressions, store.knowledge)
    members = members_of(recipe, impressions, table.manifest.fingerprint, store.knowledge)
    return impressions, {(one.vertical, one.arm): one for one in members}


def changed(before: dict[tuple[str, str], Member], after: dict[tuple[str, str], Member]) -> set[tuple[str, str]]:
    return {who for who in after if who not in before or before[who].fingerprint != after[who].fingerprint}


def test_a_new_day_of_one_vertical_teaches_its_students_alone(folder: Path) -> None:
    marked(folder)
    _, before = students(folder)
    day(300, 20, ["b"], 90).write_parquet(folder / "log/5.parquet")
    marked(folder)
    impressions, after = students(folder)
    assert impressions.rows == 320
    assert changed(before, after) == {("b", "distilled"), ("b", "control")}


def test_another_mark_of_a_training_row_teaches_the_students_of_its_vertical_alone(folder: Path) -> None:
    """Rows 0, 3, ... are of `a`; marks of test rows, here the last of `c`, are not heard."""
    marked(folder)
    _, before = students(folder)
    marked(folder, 3, 299)
    _, after = students(folder)
    assert changed(before, after) == {("a", "distilled")}


def test_students_that_see_more_than_marks_are_known_by_the_whole_table(folder: Path) -> None:
    more = "students.distill.representation.weight=0.1"
    marked(folder)
    _, before = students(folder, more)
    marked(folder, 299)
    _, after = students(folder, more)
    assert changed(before, after) == {(vertical, "distilled") for vertical in "abc"}
