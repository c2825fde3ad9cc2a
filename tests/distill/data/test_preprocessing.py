"""What a ranker in service reads of raw columns, against what the data set shows of the same rows."""

from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill.data.given import Given, conformed
from distill.data.preprocessing import Preprocessing, Preprocessor
from distill.errors import DataError
from distill.types import UNSEEN, Features

PACE = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])

WHOLE = st.integers(0, 6) | st.integers(-(2**63), 2**63 - 1)
TEXT = st.sampled_from(["", "a", "ab", "ä", "日本", "a" * 300, "🙂/\\"])
NUMBER = st.floats(-1e6, 1e6, allow_subnormal=False) | st.sampled_from([0.0, -0.0, float("nan")])
MOMENT = st.integers(0, 2**34)

COLUMNS = {
    "whole": (pl.Int64, st.none() | WHOLE),
    "near": (pl.Int32, st.none() | st.integers(-9, 9)),
    "text": (pl.String, st.none() | TEXT),
    "number": (pl.Float64, st.none() | NUMBER),
    "flag": (pl.Boolean, st.none() | st.booleans()),
    "seen": (pl.List(pl.Int64), st.none() | st.lists(st.none() | WHOLE, max_size=5)),
    "tags": (pl.List(pl.String), st.none() | st.lists(TEXT, max_size=4)),
    "vector": (pl.List(pl.Float32), st.none() | st.lists(st.floats(-9, 9, width=32), min_size=2, max_size=2)),
}

FEATURES: dict[str, Any] = {
    "whole": "categorical",
    "near": {"kind": "categorical", "min_count": 2},
    "text": "categorical",
    "odd": {"kind": "categorical", "column": "number"},
    "flag": "categorical",
    "hashed": {"kind": "categorical", "column": "text", "hash": 7},
    "both": {"kind": "cross", "columns": ["near", "text"], "hash": 11},
    "plain": {"kind": "numeric", "column": "number", "missing": "mean"},
    "logs": {"kind": "numeric", "column": "number", "transform": ["log1p", "standardise"], "missing": "indicator"},
    "zero": {"kind": "numeric", "column": "number", "transform": ["log1p"], "missing": "zero"},
    "steps": {"kind": "bucketised", "column": "number", "boundaries": [-1.0, 0.0, 5.0]},
    "shares": {"kind": "bucketised", "column": "number", "buckets": 3},
    "clicked": {"kind": "sequence", "columns": {"seen": "whole"}, "newest": "last", "length": 3},
    "bag": {"kind": "multi_valued", "column": "tags", "shares": "hashed", "length": 2},
    "own": {"kind": "multi_valued", "column": "tags", "pool": "sum"},
    "vector": {"kind": "vector", "width": 2, "missing": "zero"},
}


@st.composite
def tables(draw: st.DrawFn) -> pl.DataFrame:
    rows = draw(st.integers(3, 12))
    drawn = {
        name: pl.Series(draw(st.lists(one, min_size=rows, max_size=rows)), dtype=kind)
        for name, (kind, one) in COLUMNS.items()
    }
    drawn["number"] = pl.Series([1.0, *drawn["number"].to_list()[1:]], dtype=pl.Float64)
    split = ["train", *draw(st.lists(st.sampled_from(["train", "test"]), min_size=rows - 1, max_size=rows - 1))]
    verticals = draw(st.lists(st.sampled_from(["v", "w"]), min_size=rows, max_size=rows))
    return pl.DataFrame({"label": [0, 1] + [0] * (rows - 2), "vertical": verticals, "split": split, **drawn})


def served(impressions: Any, frame: pl.DataFrame, vertical: str | None, names: list[str] | None = None) -> Features:
    view = impressions.view(names, "vertical" if vertical else "all")
    preprocessing, words = impressions.preprocessing(view, vertical)
    return Preprocessor(Preprocessing.model_validate_json(preprocessing.model_dump_json()), words).read(frame)


def encoded(impressions: Any, rows: list[int], vertical: str | None, names: list[str] | None = None) -> Features:
    return (
        impressions.view(names, "vertical" if vertical else "all").take(torch.tensor(rows, dtype=torch.int64)).features
    )


def assert_same(one: Features, other: Features, vertical: bool = True) -> None:
    pairs = [(one.categorical, other.categorical), (one.numeric, other.numeric)]
    pairs += [(one.sequences[name], other.sequences[name]) for name in other.sequences]
    pairs += [(one.vectors[name], other.vectors[name]) for name in other.vectors]
    pairs += [(one.vertical, other.vertical)] if vertical else []
    assert one.sequences.keys() == other.sequences.keys() and one.vectors.keys() == other.vectors.keys()
    for ours, theirs in pairs:
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs)


@given(frame=tables(), data=st.data())
@PACE
def test_every_kind_of_feature_is_read_as_the_data_set_shows_it(load_frame, frame, data):
    impressions = load_frame(frame, features=FEATURES, block=data.draw(st.integers(1, 12)))
    for vertical in [None, *impressions.verticals]:
        rows = [row for row, name in enumerate(frame["vertical"]) if vertical in (None, name)]
        assert_same(
            served(impressions, frame[rows], vertical), encoded(impressions, rows, vertical), vertical is not None
        )


@given(frame=tables(), name=st.sampled_from(list(FEATURES)), data=st.data())
@PACE
def test_each_feature_alone_needs_its_own_columns_only(load_frame, frame, name, data):
    impressions = load_frame(frame, features=FEATURES)
    rows = data.draw(st.permutations(range(len(frame))))
    view = impressions.view([name], "all")
    preprocessing, words = impressions.preprocessing(view, None)
    preprocessor = Preprocessor(preprocessing, words)
    found = preprocessor.read(frame[rows].select(preprocessor.columns))
    assert_same(found, encoded(impressions, rows, None, [name]), vertical=False)


@given(frame=tables(), moments=st.data())
@PACE
def test_gaps_in_time(load_frame, frame, moments):
    times = [[moments.draw(MOMENT) for _ in row or ()] for row in frame["seen"].to_list()]
    frame = frame.with_columns(pl.Series("at", times, dtype=pl.List(pl.Int64)), now=pl.lit(2**33))
    feature = {"kind": "sequence", "columns": {"seen": None}, "newest": "first", "length": 4, "times": "at"}
    impressions = load_frame(frame, features={"clicked": feature}, time="now")
    every = list(range(len(frame)))
    assert_same(served(impressions, frame, None), encoded(impressions, every, None), vertical=False)


def test_values_that_were_never_shown_are_unseen(load_frame, table):
    impressions = load_frame(
        table.with_columns(item=pl.col("item") % 3), features={"item": "categorical", "place": "categorical"}
    )
    ids = served(
        impressions, pl.DataFrame({"item": [99, -5, 2**40, None], "place": ["c", "", "a", "b"]}), None
    ).categorical
    assert ids[:, 0].tolist() == [UNSEEN] * 4
    assert (ids[:2, 1] == UNSEEN).all() and (ids[2:, 1] != UNSEEN).all()


def test_whole_numbers_may_come_as_floating_point_and_the_other_way_round(load_frame, table):
    impressions = load_frame(
        table,
        features={
            "item": "categorical",
            "age": "numeric",
            "tags": "multi_valued",
            "text": {"kind": "vector", "width": 3},
        },
    )
    whole = table.with_columns(pl.col("item").cast(pl.Float64))
    assert_same(served(impressions, whole, None), encoded(impressions, list(range(60)), None), vertical=False)
    aged = table.with_columns(age=pl.lit(4), text=pl.concat_list(pl.lit(1), pl.lit(2), pl.lit(3)))
    assert torch.equal(served(impressions, aged, None).vectors["text"][0], torch.tensor([1.0, 2.0, 3.0]))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"item": pl.lit("seven")}, "column `item` holds text, but held whole numbers when the ranker was trained"),
        ({"item": pl.lit(1.5)}, "column `item` holds numbers, but held whole numbers"),
        ({"item": pl.lit(2.0**53)}, "column `item` holds numbers, but held whole numbers"),
        ({"item": pl.lit(True)}, "column `item` holds true and false, but held whole numbers"),
        ({"age": pl.lit(None)}, "column `age`, row 7: is null or NaN"),
        ({"age": pl.lit("old")}, "column `age` holds text"),
        ({"tags": pl.lit("x")}, "column `tags` holds text, where lists are meant"),
        ({"text": pl.concat_list(pl.lit(1.0))}, "column `text`, row 7: has not 3 numbers"),
    ],
)
def test_what_a_ranker_cannot_read_is_named(load_frame, table, change, sentence):
    impressions = load_frame(table)
    view = impressions.view(None, "all")
    preprocessor = Preprocessor(*impressions.preprocessing(view, None))
    with pytest.raises(DataError) as error:
        preprocessor.read(table.with_columns(**change), "new.parquet", np.arange(7, 67))
    assert sentence in str(error.value).replace("`: holds", "` holds")
    assert "new.parquet" in str(error.value)


def test_true_and_false_are_no_numbers(load_frame, table):
    """Beside numbers of one table, too; a column of nothing but null may be either."""
    flags = table.with_columns(
        flag=pl.col("item") > 2, flags=pl.col("item").map_elements(lambda x: [x > 2], pl.List(pl.Boolean))
    )
    features = {"flag": "categorical", "flags": {"kind": "multi_valued", "length": 2}, "item": "categorical"}
    impressions = load_frame(flags, features=features)
    preprocessor = Preprocessor(*impressions.preprocessing(impressions.view(None, "all"), None))
    assert_same(preprocessor.read(flags), encoded(impressions, list(range(len(flags))), None), vertical=False)
    preprocessor.read(flags.with_columns(flag=None, flags=None))
    with pytest.raises(DataError) as error:
        preprocessor.read(flags.with_columns(flag=1, flags=pl.concat_list(pl.lit(1)), item=True))
    held = ["whole numbers, but held true and false", "lists of whole numbers, but held lists of true and false"]
    held.append("true and false, but held whole numbers")
    said = [fault.what for fault in error.value.faults]
    assert said == [f"holds {kinds} when the ranker was trained." for kinds in held]


def test_missing_values_without_a_rule_are_told_to_whoever_serves(load_frame, table):
    """Who cannot change the recipe; who has it is told what to say there."""
    features = {"age": "numeric", "text": {"kind": "vector", "width": 3}}
    impressions = load_frame(table, features=features)
    preprocessor = Preprocessor(*impressions.preprocessing(impressions.view(None, "all"), None))
    given = table.with_columns(age=pl.lit(float("nan")), text=None)
    for student, said in (("cars", 'The student of "cars" was trained without a rule'), ("", "Say what a missing")):
        with pytest.raises(DataError) as error:
            preprocessor.read(given, "new.parquet", student=student)
        assert len(error.value.faults) == 2
        assert all(fault.remedy.startswith(said) for fault in error.value.faults)


def test_all_missing_columns_are_named_at_once(load_frame, table):
    impressions = load_frame(table)
    preprocessor = Preprocessor(*impressions.preprocessing(impressions.view(None, "all"), None))
    with pytest.raises(DataError) as error:
        preprocessor.read(table.drop("item", "age").rename({"place": "palce"}))
    assert [fault.where.split("`")[1] for fault in error.value.faults] == ["item", "place", "age"]
    assert 'Did you mean "palce"?' in str(error.value)


@given(values=st.lists(st.none() | WHOLE, max_size=20, unique=True), asked=st.lists(st.none() | WHOLE, max_size=20))
@PACE
def test_a_vocabulary_is_a_dictionary(values, asked):
    known = {value: place for place, value in enumerate(values, 1)}
    found, _ = Given(values, "Int64").codes(pl.Series(asked, dtype=pl.Int64))
    assert found.tolist() == [known.get(value, UNSEEN) for value in asked]
    assert found.dtype == np.int32


def test_a_vocabulary_of_other_values_is_refused():
    with pytest.raises(DataError, match="something other than whole numbers"):
        Given([1, "two"], "Int64")


def test_columns_of_the_right_kind_are_not_copied():
    frame = pl.DataFrame({"x": [1, 2], "y": ["a", None]}, schema={"x": pl.Int32, "y": pl.Categorical})
    assert conformed(frame, {"x": "Int64", "y": "String"}, "rows").schema == frame.schema
