"""How many ids are new, against Polars; and when it is said that nobody learns what that means."""

import polars as pl
import pytest

from distill.data.novelty import novelty

HISTORY = {"kind": "sequence", "columns": {"seen": "item", "stars": None}, "newest": "first", "length": 4}


def shares(impressions) -> dict[str, tuple[float, float]]:
    found = novelty(impressions.settings, impressions.shards, impressions.split)
    return {use.column: tuple(one) for use, one in found.items()}


@pytest.mark.parametrize("fewest", [1, 25])
@pytest.mark.parametrize("block", [7, 1000])
def test_shares_are_those_of_polars(table, load_frame, fewest, block):
    """Of ids, and of events that share their vocabulary, however the rows are encoded."""
    features = {"item": {"kind": "categorical", "min_count": fewest}, "history": HISTORY, "age": "numeric"}
    found = shares(load_frame(table, features=features, block=block))
    shown = table.with_columns(pl.col("seen", "stars").list.head(4)).select("split", "item", "seen", "stars")
    items = [shown.select("split", id="item"), shown.select("split", id="seen").explode("id").drop_nulls()]
    counts = pl.concat(items).filter(split="train")["id"].value_counts().filter(pl.col("count") >= fewest)
    stars = shown.select("split", id="stars").explode("id").drop_nulls()
    known = stars.filter(split="train")["id"].unique()
    for name, column, there in (
        ("item", items[0], counts["id"]),
        ("seen", items[1], counts["id"]),
        ("stars", stars, known),
    ):
        new = [(~column.filter(split=part)["id"].is_in(there.implode())).mean() for part in ("train", "test")]
        assert found[name] == pytest.approx(new), name
    assert set(found) == {"item", "seen", "stars"} and (found["item"][0] > 0) == (fewest > 1)


def test_what_is_computed_is_never_new(table, load_frame):
    """Hashes and buckets; and where nothing is tested there is no share."""
    features = {"item": {"kind": "categorical", "hash": 50}, "age": {"kind": "bucketised", "buckets": 3}}
    assert shares(load_frame(table, features=features)) == {}
    ((train, test),) = shares(
        load_frame(table.filter(pl.col("split") != "test"), features={"item": "categorical"})
    ).values()
    assert train == 0 and test != test


@pytest.fixture
def moving() -> pl.DataFrame:
    """400 rows whose items live for 40 rows each, and whose histories hold the two items before."""
    item = pl.int_range(400) // 40
    history = pl.concat_list((item - 1).clip(0), (item - 2).clip(0))
    split = pl.when(pl.int_range(400) < 320).then(pl.lit("train")).otherwise(pl.lit("test"))
    return pl.select(label=pl.int_range(400) % 2, vertical=pl.lit("v"), split=split, item=item, seen=history)


def test_it_is_said_what_nobody_learns(moving, load_frame):
    """Until as much is hidden; of the column that it is about."""
    history = {"kind": "sequence", "columns": {"seen": "item"}, "newest": "first"}

    def said(item: float, seen: float) -> list[str]:
        features = {"item": {"kind": "categorical", "hide": item}, "clicked": history | {"hide": {"seen": seen}}}
        return [one for one in load_frame(moving, features=features).warnings if "are new" in one]

    ids, events = said(0.0, 0.0)
    assert ids == (
        "100% of the ids of `item` are new in test rows, and 0% while training: "
        "what stands for the new is hardly learnt. With `hide: 0.5` it is."
    )
    assert events.startswith("25% of the events of `seen` in the history `clicked` are new in test rows, and 0% while")
    assert events.endswith("With `hide: {seen: 0.2}` it is.")
    assert said(0.5, 0.0) == [events] and said(0.5, 0.2) == []
