"""A batch holds the rows that were asked for, as they stand in the table."""

import numpy as np
import polars as pl
import pytest
import torch

from distill.types import PAD, UNSEEN, FeatureSchema, SequenceField


def test_the_schema_says_what_a_batch_holds(table, load_frame):
    impressions = load_frame(table)
    schema = impressions.view(None, "all").schema(None)
    assert schema == FeatureSchema(
        tasks=("click",),
        verticals=3,
        tables={"item": 13, "place": 4, "history/stars": 6, "tags": 4},
        categorical=("item", "place"),
        numeric=("age",),
        sequences=(
            SequenceField("history", 4, ("item", "history/stars")),
            SequenceField("tags", 2, ("tags",), ordered=False, pool="sum"),
        ),
        vectors={"text": 3},
    )
    assert impressions.view(None, "vertical").schema("food").verticals == 1


def test_take_is_a_gather(table, load_frame):
    impressions = load_frame(table, weight="weight", label={"click": "label", "sale": "bought"})
    view = impressions.view(None, "all")
    rows = torch.randint(60, (3, 17))
    batch, features = view.take(rows), view.take(rows).features
    at = rows.numpy()
    assert features.vertical.tolist() == impressions.vertical[at].tolist()
    assert batch.label.tolist() == impressions.label[at].tolist() and batch.label.shape == (3, 17, 2)
    assert batch.valid.tolist() == impressions.valid[at].tolist() and batch.valid.dtype == torch.bool
    assert batch.weight.tolist() == impressions.weight[at].tolist()
    assert batch.knowledge == {}
    np.testing.assert_array_equal(features.vectors["text"], np.array(table["text"].to_list(), np.float32)[at])
    whole = view.take(torch.arange(60)).features
    assert torch.equal(features.categorical, whole.categorical[rows]) and features.categorical.dtype == torch.int32
    assert torch.equal(features.numeric, whole.numeric[rows])
    for name, shape in {"history": (3, 17, 4, 2), "tags": (3, 17, 2, 1)}.items():
        assert features.sequences[name].shape == shape
        assert torch.equal(features.sequences[name], whole.sequences[name][rows])


def test_a_set_keeps_its_first_values(table, load_frame):
    view = load_frame(table).view(["tags"], "all")
    values, ids = view.values("tags", None).to_list(), view.take(torch.arange(60)).features.sequences["tags"]
    for row, tags in enumerate(table["tags"].to_list()):
        assert [values[i] for i in ids[row, :, 0].tolist() if i != PAD] == tags[:2]


def test_a_student_serves_one_vertical(table, load_frame):
    batch = load_frame(table).view(None, "vertical").take(torch.arange(60).view(2, 30))
    assert batch.features.vertical.eq(0).all() and batch.features.vertical.shape == (2, 30)


def test_rows_that_fill_up_weigh_nothing(table, load_frame):
    view = load_frame(table, weight="weight").view(None, "all")
    batch = view.take(torch.tensor([[5, -1], [-1, -1]]))
    assert batch.weight.tolist() == [[table["weight"][5], 0], [0, 0]]
    assert batch.features.categorical[1, 1].eq(UNSEEN).all() and not batch.valid[1].any()
    with pytest.raises(IndexError):
        view.take(torch.tensor([60]))


def test_writing_into_a_batch_leaves_the_store_alone(table, load_frame):
    view = load_frame(table).view(None, "all")
    before = view.take(torch.arange(60)).features.numeric.clone()
    view.take(torch.arange(60)).features.numeric.zero_()
    assert torch.equal(view.take(torch.arange(60)).features.numeric, before)


def test_features_come_in_the_order_of_the_settings(table, load_frame):
    impressions = load_frame(table)
    one, other = (impressions.view(names, "all") for names in (["place", "item"], ["item", "place"]))
    assert one.schema(None).categorical == ("item", "place") and one.fingerprint == other.fingerprint


def test_numbers_alone_and_nothing_but_a_history(table, load_frame):
    impressions = load_frame(table)
    numbers = impressions.view(["age", "text"], "vertical")
    assert numbers.schema("toys").tables == {} and numbers.take(torch.arange(2)).features.categorical.shape == (2, 0)
    history = impressions.view(["history"], "vertical").take(torch.arange(2)).features
    assert history.numeric.shape == (2, 0) and history.sequences["history"].shape == (2, 4, 2)


def test_a_view_is_named_by_what_it_shows(table, load_frame):
    names = ["item", "age"]
    data = load_frame(table)
    base = {scope: data.view(names, scope).fingerprint for scope in ("all", "vertical")}
    other = load_frame(table.with_columns(place=pl.lit("x")))
    moved = load_frame(table.with_columns(pl.col("age") + 1))
    assert base["all"] != base["vertical"]
    assert data.view(["item"], "vertical").fingerprint != base["vertical"]
    assert other.view(names, "vertical").fingerprint == base["vertical"], "only `parts` speak of rows"
    assert other.view(names, "all").fingerprint != base["all"]
    assert moved.view(names, "vertical").fingerprint != base["vertical"], "other constants, other numbers"
    hidden = {"item": {"kind": "categorical", "hide": 0.5}, "age": "numeric"}
    assert load_frame(table, features=hidden).view(names, "vertical").fingerprint != base["vertical"]


@pytest.mark.parametrize("height", [1 << 15, (1 << 15) + 1])
def test_ids_of_small_tables_are_stored_in_half_the_room(load_frame, height):
    """The largest id that fits and the first that does not; a batch shows no difference."""
    values = np.arange(height - 1)
    frame = pl.DataFrame({"item": values, "seen": values[:, None].repeat(2, 1).tolist(), "vertical": "v"})
    frame = frame.with_columns(label=pl.col("item") % 2, split=pl.lit("train"))
    features = {"item": "categorical", "history": {"kind": "sequence", "columns": {"seen": "item"}, "length": 3}}
    features["history"] |= {"newest": "first"}
    view = load_frame(frame, features=features).view(None, "all")
    assert view.heights["item"] == [height]
    batch = view.take(torch.tensor([0, height - 2, -1])).features
    assert batch.categorical[:, 0].tolist() == [1, height - 1, UNSEEN] and batch.categorical.dtype == torch.int32
    expected = [[1, 1, PAD], [height - 1, height - 1, PAD], [PAD] * 3]
    assert batch.sequences["history"][..., 0].tolist() == expected
    assert batch.sequences["history"].dtype == torch.int32
    stored = torch.int16 if height == 1 << 15 else torch.int32
    assert view._windows["history"].dtype == stored and view._ids == stored
