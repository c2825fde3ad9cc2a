"""Every kind of feature, encoded and read back, against Polars on random tables."""

from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill.data.hashing import hashes
from distill.data.impressions import Impressions
from distill.errors import DataError
from distill.types import GAPS, PAD, UNSEEN

PACE = settings(max_examples=7, deadline=None, suppress_health_check=[HealthCheck.too_slow])

VALUES = {
    "whole": (pl.Int64, st.integers(-(2**63), 2**63 - 1) | st.integers(0, 5)),
    "small": (pl.Int16, st.integers(-9, 9)),
    "text": (pl.String, st.sampled_from(["", "a", "ab", "ä", "日本", "a" * 300, "🙂/\\"])),
    "float": (pl.Float64, st.floats(-1e15, 1e15, allow_subnormal=False)),
    "flag": (pl.Boolean, st.booleans()),
}


def some(values: st.SearchStrategy, rows: int) -> st.SearchStrategy:
    return st.lists(st.none() | values, min_size=rows, max_size=rows)


@st.composite
def tables(draw: st.DrawFn, **columns: tuple[pl.DataType, st.SearchStrategy]) -> pl.DataFrame:
    rows = draw(st.integers(2, 12))
    drawn = {name: pl.Series(draw(some(values, rows)), dtype=kind) for name, (kind, values) in columns.items()}
    split = ["train", *draw(st.lists(st.sampled_from(["train", "test"]), min_size=rows - 1, max_size=rows - 1))]
    verticals = draw(st.lists(st.sampled_from(["v", "w"]), min_size=rows, max_size=rows))
    return pl.DataFrame({"label": [0, 1] + [0] * (rows - 2), "vertical": verticals, "split": split, **drawn})


def batch(impressions: Impressions, scope: str = "all") -> Any:
    return impressions.view(None, scope).take(torch.arange(impressions.rows)).features


@pytest.mark.parametrize("kind", VALUES)
@given(data=st.data())
@PACE
def test_categorical(load_frame, kind, data):
    frame = data.draw(tables(x=VALUES[kind]))
    block = data.draw(st.integers(1, 12))
    impressions = load_frame(frame, features={"x": "categorical"}, block=block)
    known = impressions.view(None, "all").values("x", None)
    shown = frame.filter(split="train")["x"].unique(maintain_order=True)
    assert known[1:].to_list() == [None if x is None else int(x) if kind == "flag" else x for x in shown]
    for value, code in zip(frame["x"], batch(impressions).categorical[:, 0].tolist(), strict=True):
        assert (known[code] == value or value is None) if value in shown else code == UNSEEN


@given(data=st.data(), fewest=st.integers(1, 4), scope=st.sampled_from(["all", "vertical"]))
@PACE
def test_values_too_rare_share_the_id_of_the_unseen(load_frame, data, fewest, scope):
    frame = data.draw(tables(x=(pl.Int64, st.integers(0, 3)))).with_columns(pl.col("x").fill_null(0))
    features = {"x": {"kind": "categorical", "min_count": fewest}}
    impressions = load_frame(frame, features=features, block=data.draw(st.integers(1, 12)))
    owner = ["vertical"] if scope == "vertical" else []
    counts = frame.filter(split="train").group_by("x", *owner).len()
    wanted = frame.join(counts, on=["x", *owner], how="left", maintain_order="left")["len"].fill_null(0) >= fewest
    assert (batch(impressions, scope).categorical[:, 0] != UNSEEN).tolist() == wanted.to_list()


@given(frame=tables(x=VALUES["text"]), buckets=st.integers(2, 9))
@PACE
def test_a_hash_is_that_of_the_value_and_the_table(load_frame, frame, buckets):
    impressions = load_frame(frame, features={"x": {"kind": "categorical", "hash": buckets}}, block=5)
    wanted = 1 + hashes(frame["x"], "x") % np.uint64(buckets - 1)
    assert batch(impressions).categorical[:, 0].tolist() == wanted.tolist()
    assert impressions.view(None, "all").schema(None).tables == {"x": buckets}


@given(frame=tables(x=VALUES["small"], y=VALUES["text"]))
@PACE
def test_a_cross_tells_pairs_apart_and_their_order(load_frame, frame):
    room = 2**31 - 1
    features = {
        "one": {"kind": "cross", "columns": ["x", "y"], "hash": room},
        "other": {"kind": "cross", "columns": ["y", "x"], "hash": room},
    }
    ids = batch(load_frame(frame, features=features, block=5)).categorical
    assert ids.min() > UNSEEN
    pairs = frame.select(pl.struct("x", "y").rank("dense")).to_series().to_list()
    for place in (0, 1):
        assert len(set(zip(pairs, ids[:, place].tolist(), strict=True))) == len(set(pairs))
        assert ids[:, place].unique().numel() == len(set(pairs))


def test_a_cross_fills_its_buckets_evenly(load_frame):
    rows = 40_000
    frame = pl.DataFrame({"x": pl.int_range(rows, eager=True) % 200, "y": pl.int_range(rows, eager=True) // 200})
    frame = frame.with_columns(label=pl.int_range(rows) % 2, vertical=pl.lit("v"), split=pl.lit("train"))
    features = {"xy": {"kind": "cross", "columns": ["x", "y"], "hash": 101}}
    counts = np.bincount(batch(load_frame(frame, features=features)).categorical[:, 0].numpy(), minlength=101)
    assert counts[0] == 0 and ((counts[1:] - 400) ** 2 / 400).sum() < 150, "chi-square, 99 degrees of freedom"


NUMBERS = (pl.Float64, st.floats(-1e6, 1e6) | st.just(float("nan")))


@given(frame=tables(x=NUMBERS), boundaries=st.sets(st.integers(-5, 5), min_size=1, max_size=4))
@PACE
def test_buckets_of_numbers(load_frame, frame, boundaries):
    edges = sorted(boundaries)
    features = {"x": {"kind": "bucketised", "boundaries": edges}}
    impressions = load_frame(frame, features=features, block=5)
    x = frame["x"].fill_nan(None)
    wanted = [len(edges) + 2 if value is None else 1 + sum(value >= edge for edge in edges) for value in x]
    assert batch(impressions).categorical[:, 0].tolist() == wanted
    assert impressions.view(None, "all").schema(None).tables == {"x": len(edges) + 3}


def test_buckets_of_equal_size_are_fitted_to_training_rows(load_frame):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"label": [0, 1] * 500, "vertical": "v", "split": ["train"] * 800 + ["test"] * 200})
    frame = frame.with_columns(x=pl.Series(np.r_[rng.normal(size=800), np.full(200, 1e9)]))
    impressions = load_frame(frame, features={"x": {"kind": "bucketised", "buckets": 8}})
    ids = batch(impressions).categorical[:, 0].numpy()
    assert np.bincount(ids[:800], minlength=9)[1:].tolist() == pytest.approx([100] * 8, abs=1)
    assert (ids[800:] == 8).all()


@given(frame=tables(x=NUMBERS), missing=st.sampled_from(["mean", "zero", "indicator"]))
@PACE
def test_numbers(load_frame, frame, missing):
    frame = frame.with_columns(x=pl.when(pl.int_range(pl.len()) == 0).then(1.0).otherwise("x"))
    impressions = load_frame(frame, features={"x": {"kind": "numeric", "missing": missing}}, block=5)
    x = frame["x"].fill_nan(None)
    train = x.filter(frame["split"] == "train")
    train = (train.fill_null(0) if missing == "zero" else train.drop_nulls()).to_numpy()
    spread = train.std() or 1.0
    wanted = ((x.fill_null(0 if missing == "zero" else train.mean())) - train.mean()) / spread
    found = batch(impressions).numeric
    np.testing.assert_allclose(found[:, 0], wanted.to_numpy(), rtol=1e-4, atol=1e-5)
    if missing == "indicator":
        assert found[:, 1].tolist() == x.is_null().cast(pl.Float32).to_list()


LISTS = (pl.List(pl.Int64), st.lists(st.none() | st.integers(0, 5), max_size=6))


@given(frame=tables(x=LISTS), length=st.integers(1, 7), block=st.integers(1, 12))
@PACE
def test_sets(load_frame, frame, length, block):
    features = {"x": {"kind": "multi_valued", "length": length, "pool": "sum"}}
    impressions = load_frame(frame, features=features, block=block)
    known = impressions.view(None, "all").values("x", None).to_list()
    shown = frame.filter(split="train")["x"].list.head(length).explode(empty_as_null=False, keep_nulls=False)
    assert known[1:] == shown.unique(maintain_order=True).to_list()
    number = {value: code for code, value in enumerate(known[1:], 1)}
    ids = batch(impressions).sequences["x"][..., 0].tolist()
    for row, values in enumerate(frame["x"].to_list()):
        wanted = [number.get(value, UNSEEN) for value in (values or [])[:length]]
        assert ids[row] == wanted + [PAD] * (length - len(wanted))


@st.composite
def histories(draw: st.DrawFn) -> pl.DataFrame:
    frame = draw(tables())
    rows = len(frame)
    lengths = draw(st.lists(st.integers(0, 5), min_size=rows, max_size=rows))
    now = draw(st.lists(st.integers(100, 2_000), min_size=rows, max_size=rows))

    def column(values: st.SearchStrategy) -> list:
        return [draw(st.lists(values, min_size=length, max_size=length)) for length in lengths]

    return frame.with_columns(
        now=pl.Series(now),
        items=pl.Series(column(st.integers(0, 3)), dtype=pl.List(pl.Int64)),
        actions=pl.Series(column(st.sampled_from(["view", "cart"])), dtype=pl.List(pl.String)),
        then=pl.Series(column(st.integers(0, 2_100)), dtype=pl.List(pl.Int64)),
    )


@given(frame=histories(), length=st.integers(1, 5), newest=st.sampled_from(["first", "last"]))
@PACE
def test_histories_with_gaps(load_frame, frame, length, newest):
    history = {"kind": "sequence", "columns": {"items": None, "actions": None}, "times": "then"}
    features = {"h": history | {"newest": newest, "length": length}}
    impressions = load_frame(frame, features=features, time="now", block=5)
    view = impressions.view(None, "all")
    schema = view.schema(None)
    assert schema.sequences[0].tables == ("h/items", "h/actions", "h/then") and schema.tables["h/then"] == GAPS
    assert schema.sequences[0].times
    ids = batch(impressions).sequences["h"]
    for row, values in enumerate(frame.iter_rows(named=True)):
        step = slice(None, None, 1 if newest == "first" else -1)
        kept = {name: values[name][step][:length] for name in ("items", "actions", "then")}
        gaps = [1 + int(np.log2(1 + max(0, values["now"] - then))) for then in kept["then"]]
        assert ids[row, :, 2].tolist() == gaps + [PAD] * (length - len(gaps))
        for place, name in enumerate(("items", "actions")):
            known = view.values(f"h/{name}", None).to_list()
            told = [known[code] for code in ids[row, : len(gaps), place].tolist()]
            seen = frame.filter(split="train")[name].explode().to_list() if frame["split"][row] == "train" else told
            assert told == kept[name] or not set(kept[name]) <= set(seen)


def test_gaps_of_dates_and_times_are_in_seconds(load_frame):
    times = pl.Series(["2030-01-02T00:00", "2030-01-02T00:01"]).str.to_datetime()
    frame = pl.DataFrame({"label": [0, 1], "vertical": "v", "split": "train", "at": times, "n": [[1], [2]]})
    frame = frame.with_columns(then=pl.concat_list(pl.lit("2030-01-01T00:00").str.to_datetime()))
    history = {"kind": "sequence", "columns": {"n": None}, "times": "then", "newest": "first", "length": 2}
    for cast in ("us", "ms"):
        typed = frame.with_columns(pl.col("at").dt.cast_time_unit(cast))
        ids = batch(load_frame(typed, time="at", features={"h": history})).sequences["h"]
        assert ids[:, 0, 1].tolist() == [1 + int(np.log2(86_401)), 1 + int(np.log2(86_461))]
    bare = frame.with_columns(then=pl.concat_list(pl.lit(5)))
    with pytest.raises(DataError, match=r"`then`: holds times of type Int64, but data.time is of type Datetime"):
        load_frame(bare, time="at", features={"h": history})
    with pytest.raises(DataError, match=r"`then`: holds times of events, but data.time is not named"):
        load_frame(bare, features={"h": history})


VECTORS = (pl.List(pl.Float32), st.lists(st.floats(-9, 9, width=32), min_size=3, max_size=3))


@given(frame=tables(x=VECTORS))
@PACE
def test_vectors(load_frame, frame):
    impressions = load_frame(frame, features={"x": {"kind": "vector", "width": 3, "missing": "zero"}}, block=5)
    wanted = np.array([[0, 0, 0] if row is None else row for row in frame["x"].to_list()], dtype=np.float32)
    np.testing.assert_array_equal(batch(impressions).vectors["x"].numpy(), wanted)


def test_nothing_is_padded_on_disk(load_frame):
    """A set of one value costs what it costs, however long the longest may be."""
    rows = 1000
    frame = pl.DataFrame(
        {"label": [0, 1] * 500, "vertical": "v", "split": "train", "x": [[n % 7] for n in range(rows)]}
    )
    sizes = []
    for length in (2, 500):
        data = load_frame(frame, features={"x": {"kind": "multi_valued", "length": length}})
        folder = data.view(None, "all").folder
        sizes.append(sum(path.stat().st_size for path in folder.parent.parent.rglob("*") if path.is_file()))
    assert sizes[1] - sizes[0] < 4 * 500 + 100, "room for one window, once"


def test_a_feature_that_is_wrongly_described(settings):
    for feature, said in (
        ({"kind": "bucketised"}, "either `boundaries` or `buckets`"),
        ({"kind": "bucketised", "boundaries": [1], "buckets": 3}, "either `boundaries` or `buckets`"),
        ({"kind": "bucketised", "boundaries": [2, 1]}, "`boundaries` must grow"),
        ({"kind": "cross", "columns": ["a"], "hash": 9}, "at least 2 items"),
    ):
        with pytest.raises(ValueError, match=said):
            settings(features={"x": feature})
