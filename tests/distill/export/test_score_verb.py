"""`distill score` and `distill export` as they are called: each refusal is one sentence, and nothing is lost."""

import json
from pathlib import Path

import polars as pl
import pytest

from distill.cli.exporting import export, score
from distill.errors import DistillError
from distill.tracking import model
from distill.tracking.model import Origin


@pytest.fixture
def raw(ran, tmp_path, monkeypatch) -> Path:
    """An empty folder to work in, but for the raw rows."""
    monkeypatch.chdir(tmp_path)
    ran.frame.drop("label", "split").write_parquet("raw.parquet")
    return tmp_path


def refused(call, said: str) -> None:
    """One fault, and the folder holds what it held."""
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    with pytest.raises(DistillError) as error:
        call()
    assert str(error.value) == said
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("raw.parquet", "raw.parquet: is there already. Give another name, or remove it."),
        ("older.parquet", "older.parquet: is there already. Give another name, or remove it."),
        ("folder", "folder: is a folder. Name a file, such as folder/rows.parquet."),
        ("out.csv", "out.csv: is not named as Parquet is. Such as out.parquet."),
        ("/proc/out.parquet", "/proc/out.parquet: cannot be made: No such file or directory. Name another place."),
        ("older.parquet/x.parquet", "older.parquet/x.parquet: cannot be made: File exists. Name another place."),
    ],
)
def test_scores_take_nobodys_place(ran, raw, to, said):
    Path("folder").mkdir()
    Path("older.parquet").write_text("of somebody")
    refused(lambda: score(ran.exports, Path("raw.parquet"), Path(to)), said)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("rwa.parquet", 'rwa.parquet: does not exist. Did you mean "raw.parquet"?'),
        ("folder", "folder: names more than one file. Give one Parquet file at a time."),
        ("*.parquet", "*.parquet: names more than one file. Give one Parquet file at a time."),
        ("raw.csv", "raw.csv: is no Parquet file. Give one that ends in .parquet."),
    ],
)
def test_rows_that_are_no_parquet_file(ran, raw, data, said):
    Path("folder").mkdir()
    Path("raw.csv").write_text("a,b\n")
    refused(lambda: score(ran.exports, Path(data), Path("out.parquet")), said)


def test_parents_are_made(ran, raw):
    score(ran.exports, Path("raw.parquet"), Path("new/folder/out.parquet"))
    assert len(pl.read_parquet("new/folder/out.parquet")) == len(ran.frame)


@pytest.mark.parametrize("students", ["all", "one"])
def test_no_rows_give_a_table_without_rows_and_with_its_columns(ran, raw, students):
    folder = ran.exports if students == "all" else ran.first
    score(folder, Path("raw.parquet"), Path("full.parquet"))
    pl.read_parquet("raw.parquet").clear().write_parquet("none.parquet")
    score(folder, Path("none.parquet"), Path("empty.parquet"))
    assert pl.read_parquet("empty.parquet").schema == pl.read_parquet("full.parquet").schema
    assert len(pl.read_parquet("empty.parquet")) == 0


def test_verticals_of_another_kind_are_refused(ran, raw):
    frame = pl.read_parquet("raw.parquet")
    for values, held in ((pl.lit(3), "whole numbers"), (pl.lit(True), "true and false")):
        frame.with_columns(vertical=values).write_parquet("odd.parquet")
        said = f"holds {held}, where the students are of names: a/../b, cars. Give the names that training had."
        call = lambda: score(ran.exports, Path("odd.parquet"), Path("out.parquet"))  # noqa: E731
        refused(call, f"odd.parquet: column `vertical`: {said}")


@pytest.mark.parametrize(
    ("verticals", "said"),
    [
        (["vans", "crs"], 'holds vans, crs, of which none has a student: no row could be scored. Did you mean "cars"?'),
        (["x"], "holds x, of which none has a student: no row could be scored. Valid: a/../b, cars."),
        ([None], "holds nothing but null: no row could be scored. Valid: a/../b, cars."),
    ],
)
def test_that_no_row_has_a_student_is_said(ran, raw, capsys, verticals, said):
    frame = pl.read_parquet("raw.parquet")
    repeated = pl.Series("vertical", (verticals * len(frame))[: len(frame)], dtype=pl.String)
    frame.with_columns(repeated).write_parquet("strange.parquet")
    score(ran.exports, Path("strange.parquet"), Path("out.parquet"), json="-")
    shown = capsys.readouterr()
    assert json.loads(shown.out)["unscored"] == len(frame)
    assert f"warning: strange.parquet: column `vertical`: {said}\n" in shown.err
    frame.with_columns(pl.concat([repeated[:-1], frame["vertical"][-1:]])).write_parquet("nearly.parquet")
    score(ran.exports, Path("nearly.parquet"), Path("other.parquet"))
    assert "warning" not in capsys.readouterr().err


def test_the_run_of_a_student_leaves_options_nothing_to_say(ran, raw, monkeypatch):
    monkeypatch.setattr(model, "origin", lambda run, uri: Origin("", "cars", "control", 1))
    which = 'does not go with the run of one student. It is that of "cars", control, seed 1: leave the option out.'
    said = f"--vertical: {which}\n--arm: {which}\n--seed: {which}"
    refused(lambda: export("0" * 32, Path("out"), vertical="cars", arm="distilled", seed=0), said)


def test_an_export_that_cannot_be_made_is_a_sentence(ran, raw):
    recipe, changes = str(ran.folder / "small.yaml"), [f"store={ran.folder}/mlruns", "tracking.uri=null"]
    said = "/proc/out: cannot be made: No such file or directory. Name another place."
    refused(lambda: export(recipe, Path("/proc/out"), changes), said)
