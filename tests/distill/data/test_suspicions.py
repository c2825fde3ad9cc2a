"""What is warned of, and what is not."""

import numpy as np
import polars as pl
import pytest


def warned(load_frame, frame: pl.DataFrame, kind: str = "numeric", **changes) -> list[str]:
    features = {name: kind for name in frame.columns if name.startswith("x")} or {"label2": kind}
    return load_frame(frame, features=features, **changes).warnings


@pytest.fixture
def sound() -> pl.DataFrame:
    """400 rows of four verticals, each with clicks in every split, and a feature that tells nothing."""
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "label": rng.integers(2, size=400),
            "vertical": np.tile(list("abcd"), 100),
            "split": np.repeat(["train", "valid", "test"], [200, 100, 100]),
            "at": np.arange(400),
            "x": rng.normal(size=400),
        }
    )


@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_nothing_is_said_of_sound_data(sound, load_frame, kind):
    assert warned(load_frame, sound.with_columns(pl.col("x").round()), kind, time="at") == []
    each = warned(load_frame, sound.with_columns(x=pl.int_range(400)), kind)
    assert ["are new in test rows" in warning for warning in each] == ([True] if kind == "categorical" else [])
    rare = sound.with_columns(label=(pl.int_range(400) % 33 == 0).cast(pl.Int8), x=pl.int_range(400) // 2)
    assert not [warning for warning in warned(load_frame, rare, kind) if "determines" in warning], "few clicks"


@pytest.mark.parametrize("kind", ["numeric", "categorical"])
@pytest.mark.parametrize(
    "leak",
    [
        pytest.param(pl.col("label"), id="the label itself"),
        pytest.param(1 - pl.col("label"), id="its opposite"),
        pytest.param(
            pl.when(pl.col("label") == 1).then(pl.int_range(400) % 3 + 3).otherwise(pl.int_range(400) % 3), id="rating"
        ),
        pytest.param(2 * (pl.int_range(400) % 5) + pl.col("label"), id="parity"),
        pytest.param(
            pl.when(pl.int_range(400) == 7).then(1 - pl.col("label")).otherwise("label"), id="but for one row"
        ),
    ],
)
def test_a_feature_that_knows_the_label(sound, load_frame, leak, kind):
    (warning,) = warned(load_frame, sound.with_columns(x=leak), kind)
    assert warning.startswith(
        "Feature `x` all but determines the label of `click`; if it is known only after the click"
    )


def test_rows_of_nobody_are_counted(sound, load_frame):
    """All of them are one user."""
    users = sound.with_columns(who=pl.when(pl.int_range(400) % 8 != 5).then(pl.int_range(400) % 7))
    data = load_frame(users, features={"x": "numeric"}, user="who")
    assert data.warnings == [
        "The user `who` is null in 50 rows (first in row 5): they count as one user. "
        "Name the session there, or leave them out."
    ]
    assert len(np.unique(data.user[users["who"].is_null().to_numpy()])) == 1
    assert load_frame(users.with_columns(who="at"), features={"x": "numeric"}, user="who").warnings == []


@pytest.mark.parametrize("hashed", [False, True])
def test_nulls_within_lists_are_counted(sound, load_frame, hashed):
    """Over all blocks, and among the entries that are kept: the first two."""
    whole, holed = [1, 2, 3], [None, 2, None]
    lists = pl.Series([holed if row in (7, 30, 31) else [] if row == 9 else whole for row in range(400)])
    frame = sound.with_columns(seen=lists, tags=lists, item=1)
    features = {
        "item": {"kind": "categorical", "hash": 50} if hashed else "categorical",
        "past": {"kind": "sequence", "columns": {"seen": "item"}, "newest": "first", "length": 2},
        "tags": {"kind": "multi_valued", "length": 2},
    }
    data = load_frame(frame, features=features, block=25)
    assert [warning for warning in data.warnings if "null" in warning] == [
        "3 of 798 entries of `seen` in the history `past` are null (first in row 7): null counts as one more id.",
        "3 of 798 entries of `tags` in the set `tags` are null (first in row 7): null counts as one more id.",
    ]
    frame = frame.with_columns(seen=pl.col("seen").list.drop_nulls(), tags=pl.col("tags").list.drop_nulls())
    assert not [warning for warning in load_frame(frame, features=features).warnings if "null" in warning]


def test_a_number_that_is_larger_after_every_click(sound, load_frame):
    dwell = sound.with_columns(x=pl.col("x").abs() * pl.col("label"))
    assert "determines" in warned(load_frame, dwell)[0]
    assert "determines" in warned(load_frame, dwell.with_columns(x=-pl.col("x")))[0]


def test_each_task_is_looked_at(sound, load_frame):
    tasks = {"click": "label", "sale": "sold"}
    frame = sound.with_columns(sold=pl.int_range(400) // 2 % 2, x=pl.int_range(400) // 2 % 2)
    (warning,) = warned(load_frame, frame, label=tasks)
    assert "the label of `sale`" in warning


@pytest.mark.parametrize(("kind", "number"), [("categorical", {}), ("numeric", {})])
def test_a_feature_that_repeats_the_vertical(sound, load_frame, kind, number):
    renamed = pl.col("vertical").replace_strict(list("abcd"), [7, 5, 3, 1])
    assert warned(load_frame, sound.with_columns(x=renamed), kind) == [
        "Feature `x` repeats the vertical one to one: to a student it is a constant."
    ]
    coarser = pl.col("vertical").replace_strict(list("abcd"), [7, 5, 3, 3])
    assert warned(load_frame, sound.with_columns(x=coarser), kind) == []


def test_one_vertical_is_repeated_by_no_constant(sound, load_frame):
    assert warned(load_frame, sound.with_columns(vertical=pl.lit("a"), x=pl.lit(1))) == []


def test_test_rows_before_training_rows(sound, load_frame):
    warnings = warned(load_frame, sound.with_columns(at=400 - pl.col("at")), time="at")
    assert warnings == ["100 test rows are earlier than the last training row: the split looks ahead."]


def test_an_empty_split(sound, load_frame):
    warnings = warned(load_frame, sound.filter(pl.col("split") != "valid"))
    assert warnings == ["No row is in the split `valid`."]


def test_verticals_that_lack_something(sound, load_frame):
    def without(vertical: str, what: pl.Expr) -> list[str]:
        return warned(load_frame, sound.filter(~((pl.col("vertical") == vertical) & what)))

    train, test, clicked = pl.col("split") == "train", pl.col("split") == "test", pl.col("label") == 1
    assert without("b", test) == ["1 of 4 verticals have no test rows; their ratios do not exist: b."]
    assert without("b", train & clicked) == ["1 of 4 verticals have no positives in their training rows: b."]
    assert without("b", train)[0] == "1 of 4 verticals have no training rows; they get no student: b."


def test_real_news_repeat_their_category(shared, settings, tmp_path):
    from distill.data.impressions import load

    path = shared / "globo-news-mini" / "globo_news_mini.parquet"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    names = ["category", "hour", "item_id", "user_id"]
    data = load(
        settings(path=path, features=dict.fromkeys(names, "categorical") | {"item_age_hours": "numeric"}), tmp_path
    )
    features = [warning for warning in data.warnings if warning.startswith("Feature")]
    assert features == ["Feature `category` repeats the vertical one to one: to a student it is a constant."]


def test_a_rating_tells_its_label(shared, settings, tmp_path):
    from distill.data.impressions import load

    path = shared / "epinions" / "epinions.parquet"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    data = load(settings(path=path, features={"rating": "categorical", "item_id": "categorical"}), tmp_path)
    assert [warning.split("`")[1] for warning in data.warnings if warning.startswith("Feature")] == ["rating"]
