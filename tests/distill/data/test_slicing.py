"""Slicings: by column, by what is new, by length and by hour, each against the rows read one by one."""

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from distill.data.impressions import TEST, Impressions, load
from distill.data.settings import DataSettings
from distill.data.slicing import MOST, require, seconds_a_unit, slicing
from distill.errors import DataError

SPLITS = ("train", "train", "train", "valid", "test", "test")


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    rows = [
        {
            "label": row % 2,
            "vertical": ("a", "b")[row % 2],
            "split": SPLITS[row % 6],
            "item": f"item_{row % 17 if row % 6 < 3 else row % 23}",
            "device": ("phone", "desk", None)[row // 6 % 3],
            "clicked": [f"item_{one}" for one in range(row % 6)],
            "time": datetime(2026, 3, 1) + timedelta(hours=row, minutes=30),
        }
        for row in range(240)
    ]
    return pl.DataFrame(rows)


@pytest.fixture(scope="module")
def impressions(frame: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Impressions:
    folder: Path = tmp_path_factory.mktemp("slicing")
    frame.write_parquet(folder / "rows.parquet")
    settings = DataSettings.model_validate(
        {
            "path": folder / "rows.parquet",
            "label": "label",
            "vertical": "vertical",
            "time": "time",
            "split": {"by": "column", "column": "split"},
            "features": {
                "item": {"kind": "categorical"},
                "clicked": {"kind": "sequence", "columns": {"clicked": "item"}, "newest": "first", "length": 3},
            },
        }
    )
    return load(settings, folder / "store")


def named(impressions: Impressions, wanted: str) -> list[str]:
    found = slicing(impressions, wanted)
    return [found.names[code] for code in found.code]


def test_a_column_has_a_slice_a_value(impressions: Impressions, frame: pl.DataFrame) -> None:
    assert named(impressions, "device") == ["null" if value is None else value for value in frame["device"]]


def test_many_values_leave_the_rest_together(impressions: Impressions, frame: pl.DataFrame) -> None:
    found = named(impressions, "item")
    counts = frame.filter(pl.col("split") == "test")["item"].value_counts(sort=True)
    kept = set(found) - {"other"}
    assert len(kept) == MOST
    least = min(counts.filter(pl.col("item").is_in(kept))["count"])
    assert max(counts.filter(~pl.col("item").is_in(kept))["count"]) <= least
    assert [one for one in found if one != "other"] == [value for value in frame["item"] if value in kept]


def test_new_is_what_no_training_row_of_the_vertical_had(impressions: Impressions, frame: pl.DataFrame) -> None:
    train = frame.filter(pl.col("split") == "train")
    known = set(zip(train["vertical"], train["item"], strict=True))
    rows = zip(frame["vertical"], frame["item"], strict=True)
    assert named(impressions, "new:item") == ["known" if row in known else "new" for row in rows]
    assert {"known", "new"} == {named(impressions, "new:item")[row] for row in impressions.select(TEST)}


def test_lengths_count_the_whole_history(impressions: Impressions, frame: pl.DataFrame) -> None:
    words = {0: "0", 1: "1", 2: "2-3", 3: "2-3", 4: "4-7", 5: "4-7"}
    assert named(impressions, "length:clicked") == [words[length] for length in frame["clicked"].list.len()]


def test_hours_are_those_of_the_clock(impressions: Impressions, frame: pl.DataFrame) -> None:
    assert named(impressions, "hour:time") == [f"{hour:02d}" for hour in frame["time"].dt.hour()]
    assert seconds_a_unit(impressions) == 1e-6


def test_all_that_means_nothing_is_told_before_anybody_trains(impressions: Impressions) -> None:
    require(impressions, ("device", "new:item", "length:clicked", "hour:time"))
    with pytest.raises(DataError) as caught:
        require(impressions, ("devise", "length:item", "old:item"))
    said = [str(fault) for fault in caught.value.faults]
    assert [fault.where for fault in caught.value.faults] == [
        "evidence.slices[0]",
        "evidence.slices[1]",
        "evidence.slices[2]",
    ]
    assert "device" in said[0]
    assert "no such history" in said[1]
    assert "no slicing" in said[2]
