"""What is said of a data set, against Polars and scikit-learn-like brute force; and the page."""

import json
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

from distill.data.describing import describe, drift, interval
from distill.data.page import page


@pytest.fixture
def said(table, load_frame) -> dict:
    return describe(load_frame(table, time="moment", domain="domain", block=13))


def test_rows_and_splits(said):
    assert said["rows"] == 60 and said["splits"] == {"train": 40, "valid": 10, "test": 10, "unused": 0}
    json.dumps(said, allow_nan=False)


def test_verticals_are_those_of_polars(said, table):
    wanted = table.group_by("vertical", "domain").agg(
        rows=pl.len(),
        positives=pl.col("label").sum(),
        rate=pl.col("label").mean(),
        test=(pl.col("split") == "test").sum(),
    )
    assert [entry["rows"] for entry in said["verticals"]] == sorted(wanted["rows"], reverse=True)
    for row in wanted.iter_rows(named=True):
        found = next(entry for entry in said["verticals"] if entry["vertical"] == row["vertical"])
        assert {key: found[key] for key in row} == pytest.approx(row)
        assert found["rate_low"] < found["rate"] < found["rate_high"]


def test_columns_are_those_of_polars(said, table):
    columns = {entry["column"]: entry for entry in said["columns"]}
    assert columns["place"]["missing"] == pytest.approx(table["place"].null_count() / 60)
    assert columns["place"]["distinct"] == 2
    assert columns["history"]["length"] == pytest.approx(table["seen"].list.len().clip(upper_bound=4).mean())
    assert columns["history"]["longest"] == 4
    assert columns["tags"]["missing"] == pytest.approx((table["tags"].list.len() == 0).mean())
    train = table.filter(split="train")["item"]
    assert columns["item"]["unseen"] == (~table.filter(split="test")["item"].is_in(train.implode())).mean()
    assert sum(columns["age"]["histogram"]) == 60


def test_days(said, table):
    assert len(said["days"]) == 24 and sum(day["rows"] for day in said["days"]) == 60


def test_few_times_are_shown_each(table, load_frame):
    days = describe(load_frame(table.with_columns(moment=pl.col("moment") // 10), time="moment"))["days"]
    assert [(day["start"], day["rows"]) for day in days] == [(0, 20), (1, 20), (2, 20)]
    assert days[1]["rate"] == pytest.approx(table[20:40]["label"].mean())


def test_the_interval_holds_the_rate_as_often_as_it_says():
    rng = np.random.default_rng(0)
    for rate in (0.02, 0.3):
        held = [low <= rate <= high for low, high in (interval(n, 200) for n in rng.binomial(200, rate, 2000))]
        assert np.mean(held) == pytest.approx(0.95, abs=0.025)
    assert interval(0, 0) == (None, None)


def test_drift_is_zero_for_the_same_and_grows_with_the_difference():
    rng = np.random.default_rng(0)
    columns = [rng.binomial(9, p, 20_000) for p in (0.5, 0.5, 0.52, 0.7)]
    found = [drift(columns[0], other) for other in columns[1:]]
    assert found[0] < 0.002 < found[1] < 0.1 < 0.25 < found[2]
    shares = [np.bincount(column, minlength=10) / 20_000 for column in (columns[0], columns[3])]
    wanted = sum((b - a) * np.log(b / a) for a, b in zip(*shares, strict=True) if a and b)
    assert found[2] == pytest.approx(wanted, rel=0.05)
    assert drift(columns[0], columns[0][:0]) is None


def test_a_hash_says_how_many_share_a_bucket(table, load_frame):
    said = describe(load_frame(table, features={"item": {"kind": "categorical", "hash": 1000}}))["columns"][0]
    assert said["distinct"] == pytest.approx(table["item"].n_unique(), abs=1) and 0.005 < said["sharing"] < 0.02


class Page(HTMLParser):
    """Opens, closes and links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_stands_alone_and_escapes_names(table, load_frame):
    evil = '<script>alert("x")</script>'
    named = table.with_columns(vertical=pl.when(pl.col("vertical") == "toys").then(pl.lit(evil)).otherwise("vertical"))
    parser = Page()
    parser.feed(page(describe(load_frame(named, time="moment", domain=None)), "<b>"))
    assert parser.open == [] and parser.links == []
    assert evil in parser.text and "script" not in page(describe(load_frame(table)), "x")


def test_data_without_time_test_rows_or_numbers_have_a_page(load_frame):
    frame = pl.DataFrame(
        {"label": [0, 0], "vertical": "v", "split": "train", "x": pl.Series([None, None], dtype=pl.Int64)}
    )
    said = describe(load_frame(frame, features={"x": "categorical"}))
    assert said["days"] == [] and said["columns"][0] | {"histogram": [2]} == said["columns"][0]
    assert "<svg" in page(said, "x")
