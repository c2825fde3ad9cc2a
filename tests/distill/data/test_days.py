"""Parts by vertical and day: what a log that has grown says of itself, and what is removed behind it."""

from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.data import days, leftovers
from distill.data.days import DAYS, merged, parts
from distill.data.describing import describe
from distill.data.impressions import load
from distill.data.page import page
from distill.data.sealed import unsealed

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(-5, 400_000)), max_size=40)


@given(ROWS, st.integers(1, 40))
def test_parts_are_counts_whatever_the_blocks(rows, block):
    """Those of Polars, and the same digests whether rows come in one block or in many."""
    vertical, time = (np.array([row[place] for row in rows], dtype=np.int64) for place in (0, 1))
    states = np.arange(len(rows), dtype=np.uint64)
    found = parts(states, vertical, time, "Int64")
    counted = pl.DataFrame({"v": vertical, "d": time // 86_400}).group_by("v", "d").len().sort("v", "d")
    assert found[:, :3].tolist() == [list(row) for row in counted.rows()]
    cut = [slice(first, first + block) for first in range(0, len(rows), block)]
    several = [parts(states[one], vertical[one], time[one], "Int64") for one in cut]
    assert merged(np.concatenate([found[:0], *several])).tolist() == found.tolist()


MOMENTS = {
    "Date": pl.Series([date(2030, 1, 7), date(1969, 12, 31)]),
    "Datetime(us)": pl.Series([datetime(2030, 1, 7, 23, 59), datetime(1969, 12, 31, 1)]),
}


@pytest.mark.parametrize("kind", MOMENTS)
def test_days_are_those_of_the_calendar(kind):
    time = MOMENTS[kind].to_physical().cast(pl.Int64).to_numpy()
    found = parts(np.zeros(2, np.uint64), np.zeros(2, np.int64), time, kind)
    assert [days._named(day, kind) for day in found[:, 1].tolist()] == ["1969-12-31", "2030-01-07"]


def log(table: pl.DataFrame, folder: Path, count: int) -> Path:
    """Twenty rows a day, in a file each; three verticals."""
    folder.mkdir(exist_ok=True)
    for day in range(count):
        at = pl.lit(datetime(2030, 1, 5 + day, 12))
        table[20 * day : 20 * day + 20].with_columns(moment=at).write_parquet(folder / f"day-{day}.parquet")
    return folder


def test_a_new_day_is_told(table, settings, tmp_path):
    """With its rows and verticals, and how many verticals have no new row."""
    table = table.with_columns(vertical=pl.when(pl.int_range(60) >= 40).then(pl.lit("toys")).otherwise("vertical"))
    section = settings(path=log(table, tmp_path / "log", 2), time="moment")
    before = load(section, tmp_path / "store")
    assert before.changes is None
    log(table, tmp_path / "log", 3)
    after = load(section, tmp_path / "store")
    day = {"days": 1, "first": "2030-01-07", "last": "2030-01-07"}
    new = {"parts": 1, "verticals": 1, "rows": 20} | day
    assert after.changes == {"since": before.fingerprint, "verticals_kept": 2, "new": new}
    assert load(section, tmp_path / "store").changes == after.changes
    shown = page(describe(after), "log")
    assert all(text in shown for text in ("<h2>Changes</h2>", f"Since {before.fingerprint}; 2 verticals", "2030-01-07"))
    assert [moment["start"] for moment in describe(after)["days"]] == [f"2030-01-0{day}T12:00" for day in (5, 6, 7)]
    counted = table.group_by("vertical", pl.int_range(60) // 20).len().sort("vertical", "literal")
    held = [[name, day - 21919, rows] for name, day, rows, _ in _parts_of(after)]
    assert held == [list(row) for row in counted.rows()]


def _parts_of(impressions) -> list[tuple]:
    rows = np.load(impressions.folder / DAYS).tolist()
    return [(impressions.verticals[vertical], *rest) for vertical, *rest in rows]


def test_a_day_that_was_corrected_and_one_that_is_gone_are_told(table, settings, tmp_path):
    section = settings(path=log(table, tmp_path / "log", 3), time="moment")
    before = load(section, tmp_path / "store")
    (tmp_path / "log" / "day-2.parquet").unlink()
    first = pl.read_parquet(tmp_path / "log" / "day-0.parquet")
    other = first.with_columns(item=pl.when(pl.int_range(20) == 3).then(99).otherwise("item"))
    other.write_parquet(tmp_path / "log" / "day-0.parquet")
    told = load(section, tmp_path / "store").changes
    assert told["since"] == before.fingerprint and told["verticals_kept"] == 0
    assert told["changed"] | {"rows": 0} == {
        "parts": 1,
        "verticals": 1,
        "rows": 0,
        "days": 1,
        "first": "2030-01-05",
        "last": "2030-01-05",
    }
    assert told["gone"]["rows"] == 20 and told["gone"]["first"] == "2030-01-07"


def test_without_times_parts_are_verticals(table, settings, tmp_path):
    path = tmp_path / "rows.parquet"
    table[:50].write_parquet(path)
    load(settings(path=path), tmp_path / "store")
    table.write_parquet(path)
    changed = load(settings(path=path), tmp_path / "store").changes["changed"]
    touched = table.filter(pl.col("vertical").is_in(table[50:]["vertical"].implode()))
    counts = {"parts": touched["vertical"].n_unique(), "verticals": touched["vertical"].n_unique()}
    assert changed == counts | {"rows": len(touched), "days": None, "first": None, "last": None}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if leftovers.NAME.fullmatch(path.name)}


def test_the_states_that_a_log_has_left_behind_are_removed(table, settings, tmp_path):
    """Their shards too, unless the new state has them as well; other logs and other settings keep theirs."""
    store = tmp_path / "store"
    table.write_parquet(tmp_path / "other.parquet")
    kept = [
        load(settings(path=tmp_path / "other.parquet", **more), store).fingerprint for more in ({}, {"user": "user"})
    ]
    section = settings(path=log(table, tmp_path / "log", 3))
    load(section, store)
    shards = names(store / "shards")
    table[20:39].write_parquet(tmp_path / "log" / "day-1.parquet")
    after = load(section, store)
    assert names(store) == {*kept, after.fingerprint}
    mine = {shard.folder.name for shard in after.shards}
    assert len(mine & shards) == 1, "the first day is the same"
    assert names(store / "shards") == mine | {name for name in shards if name in _used(store, kept)}
    assert load(section, store).rows == 59


def _used(store: Path, sets: list[str]) -> set[str]:
    return {name for one in sets for name in leftovers._shards(store / one)}


def test_a_state_that_somebody_reads_stays_until_the_next_time(table, settings, tmp_path):
    section, store = settings(path=log(table, tmp_path / "log", 1)), tmp_path / "store"
    before = load(section, store)
    log(table, tmp_path / "log", 2)
    load(section, store)
    assert before.view(None, "all") and before.fingerprint in names(store)
    gone = before.fingerprint
    del before
    log(table, tmp_path / "log", 3)
    load(section, store)
    assert gone not in names(store)


def test_bounds_that_move_with_the_days_belong_to_one_log(table, settings, tmp_path):
    """The same files split elsewhere are another state that may be asked for; those of other files are not."""
    store, path = tmp_path / "store", log(table, tmp_path / "log", 2)
    split = lambda day: {"by": "time", "valid": f"2030-01-0{day}", "test": f"2030-01-0{day + 1}"}  # noqa: E731
    early, late = (settings(path=path, time="moment", split=split(day)) for day in (6, 7))
    load(early, store), load(late, store)
    assert len(names(store)) == 2
    log(table, tmp_path / "log", 3)
    assert load(late, store).changes["new"]["first"] == "2030-01-07"
    assert len(names(store)) == 1


def _die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_who_is_killed_while_removing_leaves_a_store_that_works(table, settings, tmp_path, monkeypatch):
    """Nothing that is half removed looks whole; the next change sweeps it up."""
    section, store = settings(path=log(table, tmp_path / "log", 1)), tmp_path / "store"
    gone = load(section, store).fingerprint
    log(table, tmp_path / "log", 2)
    with monkeypatch.context() as dying:
        dying.setattr(leftovers.shutil, "rmtree", _die)
        with pytest.raises(KeyboardInterrupt):
            leftovers.clear(store, unsealed(store / gone)["log"], [])
    assert (store / gone).exists() and unsealed(store / gone) is None
    assert load(section, store).rows == 40
    log(table, tmp_path / "log", 3)
    assert load(section, store).rows == 60
    assert not (store / gone).exists() and len(names(store)) == 1
