"""Bad impressions, one fault at a time, each with the sentence that a user reads; and all at once."""

from datetime import datetime

import polars as pl
import pytest

from distill.errors import DataError

NAN, INF = float("nan"), float("inf")
HASH = {"by": "hash", "column": "user"}
POLICY = "Say what a missing value becomes: `missing: mean`, `zero` or `indicator`."


def fault(table: pl.DataFrame, load_frame, **changes) -> str:
    """What is said of a table, without the file's name."""
    with pytest.raises(DataError) as caught:
        load_frame(table, **changes)
    assert len(caught.value.faults) == 1
    where, separator, rest = str(caught.value).rpartition(".parquet: ")
    assert not separator or where.startswith("/")
    return rest


def put(table: pl.DataFrame, column: str, row: int, value: object) -> pl.DataFrame:
    values = table[column].to_list()
    values[row] = value
    return table.with_columns(pl.Series(column, values, dtype=table.schema[column]))


COLUMNS = {
    "label": {},
    "vertical": {},
    "split": {},
    "domain": {"domain": "domain"},
    "moment": {"time": "moment"},
    "user": {"user": "user"},
    "weight": {"weight": "weight"},
    "id": {"row_id": "id"},
    "item": {},
    "age": {},
    "stars": {},
    "tags": {},
    "text": {},
}


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_and_the_one_that_is_meant(table, load_frame, column):
    said = fault(table.rename({column: f"{column}_"}), load_frame, **COLUMNS[column])
    assert said == f'column `{column}`: does not exist. Did you mean "{column}_"?'


@pytest.mark.parametrize("written", ["LABEL", "Label", "Labels"])
def test_the_column_that_is_meant_may_be_written_in_another_case(table, load_frame, written):
    said = fault(table.rename({"label": written}), load_frame)
    assert said == f'column `label`: does not exist. Did you mean "{written}"?'


WEIGHT, TIME, ID, DOMAIN = {"weight": "weight"}, {"time": "moment"}, {"row_id": "id"}, {"domain": "domain"}

UNLABELLED = "Leave rows without a label out, or name the task, {click: label}, to learn marks alone."

WIDTH = "Mend such rows, or give the `width` that all have."
NO_VECTOR = "Say what a missing vector becomes, `missing: zero`, or leave such rows out."
HOLES = "Mend such rows, or make the whole vector null and say `missing: zero`."

VALUES = [
    ("label", None, {}, f", row 3: is null. {UNLABELLED}"),
    ("label", 2, {}, ", row 3: a label is 0 or 1, but this column holds 2."),
    ("vertical", None, {}, ", row 3: is null. Fill it, or leave such rows out."),
    ("domain", None, DOMAIN, ", row 3: is null. Fill it, or leave such rows out."),
    ("moment", None, TIME, ", row 3: is null. Fill it, or leave such rows out."),
    ("id", None, ID, ", row 3: is null. Fill it, or leave such rows out."),
    ("id", 1000, ID, ": names several rows with one id (2 rows; 1000). Leave the repeats out, or name another column."),
    ("weight", None, WEIGHT, ", row 3: is null. Give every row a weight."),
    ("weight", NAN, WEIGHT, ", row 3: is null. Give every row a weight."),
    ("weight", INF, WEIGHT, ", row 3: is infinite. Clip it at the source."),
    ("weight", -0.5, WEIGHT, ", row 3: is negative. Weights are 0 or more."),
    ("user", None, {"split": HASH}, ", row 3: is null. Fill it, or leave such rows out."),
    ("age", None, {}, f", row 3: is null or NaN. {POLICY}"),
    ("age", NAN, {}, f", row 3: is null or NaN. {POLICY}"),
    ("age", -INF, {}, ", row 3: is infinite. Clip it at the source."),
    ("text", [1.0, 2.0], {}, f", row 3: has not 3 numbers (its `width`), but 2. {WIDTH}"),
    ("text", [], {}, f", row 3: has not 3 numbers (its `width`), but 0. {WIDTH}"),
    ("text", None, {}, f", row 3: is null. {NO_VECTOR}"),
    ("text", [1.0, NAN, 2.0], {}, f", row 3: holds a vector with null, NaN or an infinite number in it. {HOLES}"),
    ("text", [1.0, None, 2.0], {}, f", row 3: holds a vector with null, NaN or an infinite number in it. {HOLES}"),
    (
        "stars",
        [1] * 9,
        {},
        ", row 3: is longer or shorter than the other columns of `history`. One event, one entry each.",
    ),
]


@pytest.mark.parametrize(("column", "value", "changes", "said"), VALUES)
def test_a_bad_value(table, load_frame, column, value, changes, said):
    assert fault(put(table, column, 3, value), load_frame, **changes) == f"column `{column}`{said}"


def test_bad_values_are_counted(table, load_frame):
    said = fault(put(put(table, "age", 7, NAN), "age", 30, None), load_frame)
    assert said == f"column `age`, row 7: is null or NaN (2 such rows). {POLICY}"
    said = fault(table.with_columns(label=pl.int_range(pl.len()) - 1), load_frame)
    assert said == "column `label`, row 0: a label is 0 or 1, but this column holds -1, 2, 3, 4, 5 (58 such rows)."


def test_vectors_of_any_wrong_width_are_counted_and_shown(table, load_frame):
    bad = table.with_columns(text=pl.Series([[0.5] * (row % 4 + 1) for row in range(60)]))
    said = fault(bad, load_frame)
    shown = "has not 3 numbers (its `width`), but 1, 2, 4 (45 such rows)."
    assert said == f"column `text`, row 0: {shown} {WIDTH}"


def test_a_missing_vector_is_zeros_but_one_with_a_hole_is_refused(table, load_frame):
    features = {"text": {"kind": "vector", "width": 3, "missing": "zero"}}
    assert load_frame(put(table, "text", 3, None), features=features).rows == 60
    said = fault(put(table, "text", 3, [1.0, None, 2.0]), load_frame, features=features)
    assert said.startswith("column `text`, row 3: holds a vector with null")


def test_a_label_of_several_tasks_may_be_null_but_not_two(table, load_frame):
    said = fault(put(table, "bought", 3, 2), load_frame, label={"click": "label", "sale": "bought"})
    assert said == "column `bought`, row 3: a label is 0 or 1, but this column holds 2."


BINARY = "Write 0 and 1, or true and false."
ISO = "Write all as 2030-01-31T23:59, or all with a zone as 2030-01-31T23:59+00:00."
TEXT, LISTS = pl.lit("n/a"), pl.lit([1])

KINDS = [
    ("label", TEXT, {}, f'text ("n/a"), where numbers are meant. {BINARY}'),
    ("label", LISTS, {}, f"lists of whole numbers, where numbers are meant. {BINARY}"),
    ("vertical", pl.lit(0.5), {}, "numbers, where names are meant."),
    ("vertical", LISTS, {}, "lists of whole numbers, where names are meant."),
    ("domain", pl.lit(0.5), DOMAIN, "numbers, where names are meant."),
    ("split", pl.lit(0.5), {}, "numbers, where names are meant."),
    ("split", pl.lit("dev"), {}, '"dev" in 60 rows. `split` must say "train", "valid" or "test".'),
    ("split", pl.lit(None), {}, 'null in 60 rows. `split` must say "train", "valid" or "test".'),
    ("moment", pl.lit(True), TIME, "true and false, where times are meant."),
    ("user", LISTS, {"user": "user"}, "lists of whole numbers, where one value a row is meant."),
    ("weight", TEXT, WEIGHT, 'text ("n/a"), where numbers are meant.'),
    ("id", pl.lit(0.5), ID, "numbers, where row ids are meant. Use whole numbers or text."),
    (
        "item",
        LISTS,
        {},
        'lists of whole numbers, where one value a row is meant. Declare it "multi_valued" or "sequence".',
    ),
    ("age", TEXT, {}, 'text ("n/a"), where numbers are meant. Declare it "categorical", or give numbers.'),
    (
        "age",
        pl.lit(datetime(2030, 1, 1)),
        {},
        'dates or times, where numbers are meant. Declare it "categorical", or give numbers.',
    ),
    ("tags", pl.lit(1), {}, 'whole numbers, where lists are meant. Declare it "categorical" or "numeric".'),
    ("tags", TEXT, {}, "text, where lists are meant. CSV cannot hold lists; a column of lists in Parquet can."),
    ("stars", pl.lit(1), {}, 'whole numbers, where lists are meant. Declare it "categorical" or "numeric".'),
    (
        "stars",
        pl.lit([[1]]),
        {},
        "lists of whole numbers, where one value a row is meant. Lists of lists are not read.",
    ),
    ("text", pl.lit(1.5), {}, 'numbers, where lists are meant. Declare it "categorical" or "numeric".'),
    ("text", pl.lit(["a", "b", "c"]), {}, 'text ("a"), where numbers are meant.'),
]


@pytest.mark.parametrize(("column", "values", "changes", "said"), KINDS)
def test_the_wrong_kind_of_column(table, load_frame, column, values, changes, said):
    assert fault(table.with_columns(values.alias(column)), load_frame, **changes) == f"column `{column}`: holds {said}"


def test_text_that_is_no_time(table, load_frame):
    """It is shown, with its row: who writes 01/02/2030 may mean January or February."""
    for text in ("01/02/2030", "n/a"):
        said = fault(table.with_columns(moment=pl.lit(text)), load_frame, **TIME)
        assert said == f'column `moment`, row 0: holds "{text}", which is no ISO date or time. {ISO}'


def test_columns_that_share_a_table_hold_the_same_kind(table, load_frame):
    with pytest.raises(
        DataError, match=r"column `seen`: holds text, but shares a table with /.*`item`: whole numbers\.$"
    ):
        load_frame(table.with_columns(seen=pl.col("seen").cast(pl.List(pl.String))))


def test_a_numeric_feature_without_a_number_in_training(table, load_frame):
    empty = table.with_columns(pl.when(pl.col("split") == "test").then("age").alias("age"))
    features = {"age": {"kind": "numeric", "missing": "mean"}}
    assert fault(empty, load_frame, features=features) == (
        "column `age`: has no number in any training row. Leave the feature out."
    )


def test_numbers_beyond_32_bits(table, load_frame):
    said = fault(put(table, "age", 3, 1e300), load_frame, features={"age": {"kind": "numeric", "transform": []}})
    assert said == "column `age`, row 3: is too large for 32 bits. Take its logarithm."


def test_a_vertical_belongs_to_one_domain(table, load_frame):
    row = (table["vertical"] == "food").arg_true()[0]
    said = fault(put(table, "domain", row, "rare"), load_frame, domain="domain")
    assert said == 'column `domain`: vertical "food" is in several domains: daily, rare. A vertical belongs to one.'


def test_nothing_to_train_on(table, load_frame):
    assert "leaves no row of" in fault(table.with_columns(split=pl.lit("test")), load_frame)


def test_no_rows(table, load_frame):
    assert fault(table.clear(), load_frame) == "holds no rows. Give another data.path."


def test_a_split_by_time_without_time(table, load_frame):
    said = fault(table, load_frame, split={"by": "time", "valid": 1, "test": 2})
    assert said == "data.split: a split by time needs data.time. Name the column of times."


def test_an_unknown_feature_of_a_view(table, load_frame):
    with pytest.raises(DataError, match=r'feature "itm": does not exist\. Did you mean "item"\?'):
        load_frame(table).view(["itm"], "all")


def test_all_faults_at_once(table, load_frame):
    bad = put(put(put(table, "label", 1, 7), "weight", 2, -1.0), "age", 3, NAN).drop("split", "user", "tags")
    bad = bad.with_columns(place=pl.lit([1]), stars=pl.lit(1))
    with pytest.raises(DataError) as caught:
        load_frame(bad, user="user", split=HASH, **WEIGHT)
    columns = [fault.where.rpartition("column ")[2] for fault in caught.value.faults]
    assert columns == ["`label`, row 1", "`user`", "`weight`, row 2", "`place`", "`age`, row 3", "`stars`", "`tags`"]
