"""Leaks that are planted are told; sound data of the same shape are left in peace."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from distill.data import leakage
from distill.data.leakage import alone, one_sided

ROWS = 2_000


@pytest.fixture
def sound() -> pl.DataFrame:
    """Users with tastes of their own, who click what they have clicked before a little more often."""
    rng = np.random.default_rng(0)
    user, item = rng.integers(50, size=ROWS), rng.integers(40, size=ROWS)
    taste = rng.normal(size=50)
    label = rng.random(ROWS) < 1 / (1 + np.exp(1 - taste[user]))
    history = rng.integers(40, size=(ROWS, 5))
    return pl.DataFrame(
        {
            "label": label.astype(int),
            "vertical": rng.choice(list("ab"), ROWS),
            "split": np.repeat(["train", "valid", "test"], [1200, 400, 400]),
            "at": np.arange(ROWS),
            "user": user,
            "item": item,
            "x": rng.normal(size=ROWS) + label,
            "seen": pl.Series(history).cast(pl.List(pl.Int64)),
            "then": pl.Series(np.arange(ROWS)[:, None] - rng.integers(1, 99, (ROWS, 5))).cast(pl.List(pl.Int64)),
        }
    )


FEATURES = {
    "item": "categorical",
    "user": "categorical",
    "x": "numeric",
    "h": {"kind": "sequence", "columns": {"seen": "item"}, "times": "then", "newest": "first"},
}


def warned(load_frame, frame: pl.DataFrame) -> list[str]:
    return load_frame(frame, time="at", features=FEATURES, block=300).warnings


def test_sound_data_are_left_in_peace(sound, load_frame):
    assert warned(load_frame, sound) == []


def test_a_number_that_ranks_too_well(sound, load_frame):
    leak = sound.with_columns(x=pl.col("x") + 2 * pl.col("label"))
    area = roc_auc_score(leak["label"], leak["x"])
    (warning,) = warned(load_frame, leak)
    assert warning.startswith("Feature `x` alone ranks the label of `click` with an AUC of 0.9") and 0.95 < area < 0.999


def test_ids_whose_rates_tell_too_much(sound, load_frame):
    leak = sound.with_columns(item=(pl.col("item") % 8 + 20 * pl.col("label") * (pl.col("at") % 21 != 0)))
    found = [warning for warning in warned(load_frame, leak) if "`item` alone ranks" in warning]
    assert len(found) == 1 and "AUC of 0.9" in found[0]


@pytest.mark.parametrize("label", [0, 1])
def test_ids_with_one_label_only(sound, load_frame, label):
    leak = sound.with_columns(label=pl.when(pl.col("user") < 12).then(label).otherwise("label"))
    (warning,) = [warning for warning in warned(load_frame, leak) if "appear only" in warning]
    word = "with" if label else "without"
    assert warning.startswith(f"12 of 50 ids of `user` with 20 rows or more appear only {word} a positive label")


def test_chance_makes_ids_of_one_label_when_clicks_are_rare():
    codes, label = np.repeat(np.arange(100), 20), np.zeros(2000, dtype=bool)
    label[::100] = True
    assert one_sided("x", "click", codes, label) == []


def test_an_event_that_is_not_earlier(sound, load_frame):
    late = sound.with_columns(then=pl.when(pl.col("at") % 500 == 499).then(pl.concat_list("at")).otherwise("then"))
    late = late.with_columns(seen=pl.col("seen").list.head(pl.col("then").list.len()))
    (warning,) = warned(load_frame, late)
    assert warning == (
        "In 4 rows the history `h` holds events that are not earlier than the impression (first in row 499): "
        "it looks ahead."
    )


def test_a_history_that_holds_its_own_click(sound, load_frame):
    own = pl.concat_list("item", pl.col("seen").list.head(4))
    leak = sound.with_columns(seen=pl.when(pl.col("label") == 1).then(own).otherwise("seen"))
    (warning,) = warned(load_frame, leak)
    assert warning.startswith("The history `h` holds the `item` of its own impression in 100% of the clicks and 1")


def test_a_history_that_begins_with_its_own_impression(sound, load_frame):
    """Whether it was clicked or not; but who has few values to choose from meets them again."""
    own = pl.concat_list("item", pl.col("seen").list.head(4))
    assert warned(load_frame, sound.with_columns(seen=own)) == []
    many = sound.with_columns(item=pl.int_range(ROWS) * 7 % 1_100, split=pl.lit("train"))
    (warning,) = [one for one in warned(load_frame, many.with_columns(seen=own)) if "own impression" in one]
    assert "of its own impression in 100% of the clicks and 100% of the others" in warning


def test_a_history_whose_newest_event_is_at_the_other_end(sound, load_frame):
    """As its times say; who has none is believed."""
    turned = sound.with_columns(pl.col("then").list.sort())
    (warning,) = warned(load_frame, turned)
    assert warning == (
        "The history `h` says newest: first, and its times `then` say newest: last (100% of the steps): "
        "the oldest events would be kept."
    )


def test_times_that_are_no_seconds(sound, load_frame):
    """Milliseconds of this century, as whole numbers and as others; dates are never doubted."""
    features = {"item": "categorical"}
    for unit, kind in ((1000, pl.Int64), (1000, pl.Float64), (10**9, pl.Int64)):
        at = ((pl.col("at") + 1_780_000_000) * unit).cast(kind)
        (warning,) = load_frame(sound.with_columns(at), features=features, time="at").warnings
        assert warning.startswith("Times of `at` reach 1.78e+1") and warning.endswith("are they milliseconds?")
    for at in (pl.col("at") + 1_780_000_000, pl.from_epoch(pl.col("at") + 1_780_000_000)):
        assert load_frame(sound.with_columns(at), features=features, time="at").warnings == []


def test_a_hash_that_is_too_small(sound, load_frame):
    features = {"item": {"kind": "categorical", "hash": 200}}
    (warning,) = load_frame(sound, features=features).warnings
    share = 1 - (1 - 1 / 199) ** 39
    assert warning.startswith("Feature `item`: of about") and "in 200 buckets" in warning
    assert abs(int(warning.partition("buckets, ")[2].partition("%")[0]) / 100 - share) < 0.04
    assert load_frame(sound, features={"item": {"kind": "categorical", "hash": 5000}}).warnings == []


@pytest.mark.parametrize("values", [10, 1_000, 30_000])
def test_values_are_counted_by_the_empty_buckets(values):
    from distill.data.suspicions import crowding

    rng = np.random.default_rng(0)
    buckets = 10_001

    class Column:
        def column(self, _: str) -> np.ndarray:
            return 1 + np.tile(rng.integers(buckets - 1, size=values), 2)

    found, share, sure = crowding([Column()], "x", buckets)
    assert sure and found == pytest.approx(values, rel=0.05, abs=1)
    assert share == pytest.approx(1 - (1 - 1e-4) ** (values - 1), abs=0.01)


@pytest.mark.parametrize(("values", "buckets"), [(20_000, 64), (9_000, 1_000), (300, 3), (5, 2)])
def test_of_buckets_that_are_nearly_full_a_bound_is_said(values, buckets):
    from distill.data.suspicions import crowding

    rng = np.random.default_rng(0)

    class Column:
        def column(self, _: str) -> np.ndarray:
            return 1 + rng.integers(buckets - 1, size=values)

    found, share, sure = crowding([Column()], "x", buckets)
    assert not sure and 1 <= found <= values and (share > 0.9 or buckets < 10)


def test_the_area_is_scikit_learns():
    rng = np.random.default_rng(0)
    label, score = rng.random(500) < 0.3, rng.integers(9, size=500)
    assert leakage._area(score, label) == pytest.approx(roc_auc_score(label, score))
    assert alone("x", "click", score, label, ordered=True) == []
