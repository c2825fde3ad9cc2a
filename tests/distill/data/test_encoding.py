"""Ids against a brute-force reading of the rules, on random small tables."""

from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill.types import PAD, UNSEEN

VALUES = {
    "numbers": st.one_of(st.none(), st.integers(-3, 6)),
    "text": st.one_of(st.none(), st.sampled_from(["", "a", "B", "ä", "zz", "a b"])),
}
KINDS = {"numbers": pl.Int32, "text": pl.String}
LENGTH = 3
PACE = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def frames(draw: st.DrawFn, kind: str) -> pl.DataFrame:
    rows = draw(st.integers(1, 14))
    value, lists = VALUES[kind], st.lists(VALUES[kind], max_size=5)

    def column(of: st.SearchStrategy) -> list:
        return draw(st.lists(of, min_size=rows, max_size=rows))

    split = column(st.sampled_from(["train", "train", "valid", "test"]))
    return pl.DataFrame(
        {
            "label": column(st.integers(0, 1)),
            "vertical": column(st.sampled_from(["v", "w", "x"])),
            "split": ["train", *split[1:]],
            "item": pl.Series(column(value), dtype=KINDS[kind]),
            "seen": pl.Series(column(lists), dtype=pl.List(KINDS[kind])),
            "stars": [],
        }
        | {"stars": [0] * rows}
    ).with_columns(stars=pl.col("seen").list.eval(pl.int_range(pl.len())))


def clipped(history: list, newest: str) -> list:
    """Newest first, as many as there is room for."""
    return (history if newest == "first" else history[::-1])[:LENGTH]


def shown(frame: pl.DataFrame, rows: list[int], newest: str, fewest: int) -> list:
    """The values that training rows show often enough, in the order in which they do."""
    values, known = [], []
    for row in rows:
        for value in [frame["item"][row], *clipped(frame["seen"][row].to_list(), newest)]:
            if frame["split"][row] == "train":
                values.append(value)
                known += [value] if values.count(value) == fewest else []
    return known


@pytest.mark.parametrize("kind", ["numbers", "text"])
@pytest.mark.parametrize("scope", ["all", "vertical"])
@given(data=st.data())
@PACE
def test_ids_are_those_of_the_rules(load_frame, kind, scope, data):
    frame = data.draw(frames(kind))
    newest, fewest = data.draw(st.sampled_from(["first", "last"])), data.draw(st.integers(1, 2))
    features: dict[str, Any] = {
        "item": {"kind": "categorical", "min_count": fewest},
        "history": {"kind": "sequence", "columns": {"stars": None, "seen": "item"}, "newest": newest, "length": LENGTH},
    }
    impressions = load_frame(frame, features=features)
    view = impressions.view(None, scope)
    batch = view.take(torch.arange(len(frame))).features
    for vertical in [None] if scope == "all" else impressions.verticals:
        rows = [row for row in range(len(frame)) if vertical in (None, frame["vertical"][row])]
        known = shown(frame, rows, newest, fewest)
        assert view.schema(vertical).tables["item"] == len(known) + 1
        assert view.values("item", vertical).to_list() == [None, *known]
        number = {value: id_ for id_, value in enumerate(known, 1)}
        for row in rows:
            assert batch.categorical[row].tolist() == [number.get(frame["item"][row], UNSEEN)]
            events = [number.get(value, UNSEEN) for value in clipped(frame["seen"][row].to_list(), newest)]
            assert batch.sequences["history"][row, :, 1].tolist() == events + [PAD] * (LENGTH - len(events))
            present = batch.sequences["history"][row, :, 0] != PAD
            assert present.tolist() == [step < len(events) for step in range(LENGTH)]


def test_a_known_value_comes_back(table, load_frame):
    view = load_frame(table).view(None, "vertical")
    ids = view.take(torch.arange(len(table))).features.categorical
    for vertical in ("cars", "food", "toys"):
        values = {name: view.values(name, vertical).to_list() for name in ("item", "place")}
        train = table.with_row_index("row").filter(pl.col("vertical") == vertical, pl.col("split") == "train")
        for row in train.iter_rows(named=True):
            assert [values["item"][ids[row["row"], 0]], values["place"][ids[row["row"], 1]]] == [
                row["item"],
                row["place"],
            ]
            assert (ids[row["row"]] != UNSEEN).all()


@pytest.mark.parametrize("scope", ["all", "vertical"])
def test_rows_outside_of_training_teach_nothing(table, load_frame, scope):
    strange = table.with_columns(
        pl.when(pl.col("split") == "train").then("item").otherwise(pl.lit(-7)).alias("item"),
        pl.when(pl.col("split") == "train").then("place").otherwise(pl.lit("elsewhere")).alias("place"),
        pl.when(pl.col("split") == "train").then("age").otherwise(pl.lit(1e6)).alias("age"),
        pl.when(pl.col("split") == "train").then("tags").otherwise(pl.lit(["q"])).alias("tags"),
        pl.when(pl.col("split") == "train").then("label").otherwise(1 - pl.col("label")).alias("label"),
    )
    one, other = (load_frame(frame).view(None, scope) for frame in (table, strange))
    train = torch.from_numpy((table["split"] == "train").arg_true().to_numpy().astype(np.int64))
    assert torch.equal(one._record[train], other._record[train])
    for vertical in [None] if scope == "all" else ["cars", "food", "toys"]:
        assert one.schema(vertical) == other.schema(vertical)
        assert one.values("tags", vertical).equals(other.values("tags", vertical), null_equal=True)
    assert (other.take(torch.arange(40, 60)).features.categorical == UNSEEN).all()


def test_rows_that_are_appended_renumber_nothing(table, load_frame):
    """An id once given stays, in every scope: only behind the known ones there are new ones."""
    for scope in ("all", "vertical"):
        before, after = (load_frame(frame).view(None, scope) for frame in (table[:25], table))
        for vertical in [None] if scope == "all" else ["cars", "food", "toys"]:
            for name in ("item", "place", "tags"):
                known = before.values(name, vertical).to_list()
                assert after.values(name, vertical).to_list()[: len(known)] == known


def test_a_table_holds_only_what_the_view_shows(table, load_frame):
    impressions = load_frame(table.with_columns(item=pl.lit(3)))
    assert impressions.view(["item"], "all").schema(None).tables == {"item": 2}
    with_history = impressions.view(["history"], "all").schema(None)
    assert with_history.tables["item"] > 2 and with_history.categorical == ()


def test_a_hash_needs_no_training_rows_and_has_a_place_for_all(table, load_frame):
    features = {"item": {"kind": "categorical", "hash": 5}, "seen": {"kind": "multi_valued", "shares": "item"}}
    impressions = load_frame(table.with_columns(item=pl.lit(None, dtype=pl.Int64)), features=features)
    known = load_frame(table, features=features)
    for scope, vertical in (("all", None), ("vertical", "food")):
        view = known.view(None, scope)
        assert view.schema(vertical).tables == {"item": 5} and view.values("item", vertical) is None
        batch = view.take(torch.arange(60)).features
        number = dict(zip(table["item"], batch.categorical[:, 0].tolist(), strict=True))
        assert set(number.values()) <= {1, 2, 3, 4} and len(set(number.values())) > 1
        for row, events in enumerate(table["seen"].to_list()):
            found = batch.sequences["seen"][row, : len(events), 0].tolist()
            assert all(number.get(event, id_) == id_ and id_ > 0 for event, id_ in zip(events, found, strict=True))
    null = impressions.view(None, "all").take(torch.arange(60)).features.categorical
    assert null.unique().numel() == 1 and null[0, 0] != UNSEEN


def test_unsigned_ids_beyond_63_bits(load_frame):
    values = [2**64 - 1, 5, 2**63]
    frame = pl.DataFrame(
        {"label": [0, 1, 1], "vertical": "v", "split": "train", "n": pl.Series(values, dtype=pl.UInt64)}
    )
    view = load_frame(frame, features={"n": "categorical"}).view(None, "all")
    assert view.schema(None).tables == {"n": 4}
    assert sorted(view.take(torch.arange(3)).features.categorical.flatten().tolist()) == [1, 2, 3]


@pytest.mark.parametrize(
    ("values", "ids"),
    [
        pytest.param([1.5, None, float("nan")], [1, 2, 2], id="NaN is null"),
        pytest.param([1.0, -0.0, 0.0], [1, 2, 2], id="zeros are one"),
        pytest.param([True, False, True], [1, 2, 1], id="booleans"),
    ],
)
def test_other_kinds_of_values(load_frame, values, ids):
    frame = pl.DataFrame({"label": [0, 1, 1], "vertical": "v", "split": "train", "n": values})
    found = (
        load_frame(frame, features={"n": "categorical"}).view(None, "all").take(torch.arange(3)).features.categorical
    )
    assert found.flatten().tolist() == ids


def test_dates_have_ids(load_frame):
    dates = pl.Series(["2030-01-02", "2030-01-01", "2030-01-02"]).str.to_date()
    frame = pl.DataFrame({"label": [0, 1, 1], "vertical": "v", "split": "train", "n": dates})
    view = load_frame(frame, features={"n": "categorical"}).view(None, "all")
    assert view.values("n", None).to_list() == [None, "2030-01-02", "2030-01-01"]
