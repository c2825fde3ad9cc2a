"""Messy input: bad rows of CSV, zones, odd names and ids; and bytes that rot in the store."""

import os
import re
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from distill.data import sealed
from distill.data.impressions import load
from distill.data.sealed import unsealed
from distill.errors import DataError
from tests.distill.data.test_impressions import equal

PLAIN = {"features": {"n": "numeric", "c": "categorical"}}
HEADER = "label,vertical,split,n,c\n"
GOOD = "0,v,train,1.5,x\n1,v,train,2.5,y\n"


def csv(folder: Path, text: str | bytes) -> Path:
    path = folder / "rows.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


BAD = [
    pytest.param("1,v,train,2\n", 4, "has 4 fields, where the first line has 5", id="short"),
    pytest.param("1,v,train,2,x,y\n", 4, "has 6 fields, where the first line has 5", id="long"),
    pytest.param('1,v,train,2,"x,y",z\n', 4, "has 6 fields", id="quoted"),
    pytest.param("1,v,train,n/a,x\n", 4, r'holds "n/a" in column `n`, where numbers are meant', id="text"),
    pytest.param("maybe,v,train,1,x\n", 4, r'holds "maybe" in column `label`', id="label"),
    pytest.param('\n1,v,train,oops,"a\nb"\n', 5, r'holds "oops" in column `n`', id="over lines"),
]


@pytest.mark.parametrize(("bad", "line", "said"), BAD)
def test_a_bad_row_is_found_by_its_line(settings, tmp_path, bad, line, said):
    path = csv(tmp_path, HEADER + GOOD + bad + "1,v,test,3,x\n")
    with pytest.raises(DataError, match=rf"rows\.csv, line {line}: {said}.*data\.on_bad_rows=skip"):
        load(settings(path=path, **PLAIN), tmp_path / "store")


@pytest.mark.parametrize(("bad", "line", "said"), BAD)
def test_a_bad_row_is_left_out_and_counted(settings, tmp_path, bad, line, said):
    path = csv(tmp_path, HEADER + GOOD + bad + "1,v,test,3,x\n")
    data = load(settings(path=path, on_bad_rows="skip", **PLAIN), tmp_path / "store")
    assert data.rows == 3 and data.label[:, 0].tolist() == [0, 1, 1]
    (told,) = [warning for warning in data.warnings if "left out" in warning]
    assert re.match(rf"{re.escape(str(path))}: 1 rows could not be read and were left out: line {line} {said}", told)
    assert data.view(None, "all").values("c", None).to_list() == [None, "x", "y"]


def test_of_many_rows_that_are_left_out_the_first_are_named(settings, tmp_path):
    """File by file, and in the files found again, too."""
    for number, bad in enumerate((7, 0, 1)):
        (tmp_path / f"{number}.csv").write_text(HEADER + GOOD + "1,v\n" * bad)
    section = settings(path=tmp_path / "*.csv", on_bad_rows="skip", **PLAIN)
    lines = "; ".join(f"line {line} has 2 fields, where the first line has 5" for line in range(4, 9))
    wanted = [
        f"{tmp_path}/0.csv: 7 rows could not be read and were left out: {lines}; and 2 more.",
        f"{tmp_path}/2.csv: 1 rows could not be read and were left out: {lines.partition(';')[0]}.",
    ]
    for user in (None, "c"):
        data = load(section.model_copy(update={"user": user}), tmp_path / "store")
        assert [warning for warning in data.warnings if "left out" in warning] == wanted
    for number in range(10, 16):
        (tmp_path / f"{number}.csv").write_text(HEADER + GOOD + "1,v\n" * number)
    data = load(section, tmp_path / "store")
    assert [warning for warning in data.warnings if "could not be read" in warning][-1] == (
        "3 more files of CSV lack 30 rows that could not be read."
    )


def test_csv_without_a_header_is_one_fault(settings, tmp_path):
    path = csv(tmp_path, GOOD)
    with pytest.raises(DataError) as caught:
        load(settings(path=path, user="user", **PLAIN), tmp_path / "store")
    assert str(caught.value) == (
        f"{path}, line 1: the first line, `0,v,train,1.5,x`, names none of the columns label, vertical, split, user, "
        "n and 1 more: is the header missing? Write the names of the columns there, or correct those of the recipe."
    )


def test_of_a_long_first_line_the_beginning_is_shown(settings, tmp_path):
    path = csv(tmp_path, "7," * 99 + "7\n" + "1," * 99 + "1\n")
    with pytest.raises(DataError, match=rf"line 1: the first line, `{'7,' * 30}\.\.\.`, names none"):
        load(settings(path=path, **PLAIN), tmp_path / "store")


def test_each_file_without_a_header_is_named(settings, tmp_path):
    for name, text in (("1", HEADER + GOOD), ("2", GOOD), ("3", GOOD)):
        (tmp_path / f"{name}.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        load(settings(path=tmp_path / "*.csv", **PLAIN), tmp_path / "store")
    assert [Path(fault.where).name for fault in caught.value.faults] == ["2.csv, line 1", "3.csv, line 1"]


def test_parquet_of_other_columns_is_one_fault(settings, tmp_path):
    pl.DataFrame({"a": [1], "b": [2]}).write_parquet(tmp_path / "x.parquet")
    with pytest.raises(DataError) as caught:
        load(settings(path=tmp_path / "x.parquet", **PLAIN), tmp_path / "store")
    assert str(caught.value) == (
        f"{tmp_path}/x.parquet: has the columns a, b, and none of label, vertical, split, n, c. Name those that it has."
    )


def test_bytes_that_are_no_text(settings, tmp_path):
    path = csv(tmp_path, (HEADER + GOOD).encode() + b"1,v,train,2,\xff\n")
    with pytest.raises(DataError, match=r"line 4: holds bytes that are no UTF-8"):
        load(settings(path=path, **PLAIN), tmp_path / "store")
    assert load(settings(path=path, on_bad_rows="skip", **PLAIN), tmp_path / "store").rows == 2


def test_bad_rows_of_every_kind_are_told_at_once(settings, tmp_path):
    path = csv(tmp_path, HEADER + "0,v,train,n/a,x\n" + GOOD + "1,v\n\n" + "maybe,v,train,1,x\n")
    with pytest.raises(DataError) as caught:
        load(settings(path=path, **PLAIN), tmp_path / "store")
    told = [str(fault).rpartition("rows.csv, ")[2].partition(".")[0] for fault in caught.value.faults]
    assert told == [
        'line 2: holds "n/a" in column `n`, where numbers are meant',
        "line 5: has 2 fields, where the first line has 5",
        'line 7: holds "maybe" in column `label`, where numbers are meant',
    ]


def test_many_bad_rows_are_summed_up(settings, tmp_path):
    path = csv(tmp_path, HEADER + GOOD + "1,v\n" * 9)
    with pytest.raises(DataError) as caught:
        load(settings(path=path, **PLAIN), tmp_path / "store")
    assert [str(fault).rpartition("rows.csv")[2].partition(":")[0] for fault in caught.value.faults] == [
        ", line 4", ", line 5", ", line 6", ", line 7", ", line 8", ""
    ]  # fmt: skip
    assert "has 4 more bad rows" in str(caught.value.faults[-1])


@pytest.mark.parametrize("text", [HEADER + "\n" + GOOD + "\n\n", (HEADER + GOOD).replace("\n", "\r\n")])
def test_blank_lines_and_other_line_ends_are_no_rows(settings, tmp_path, text):
    data = load(settings(path=csv(tmp_path, text), **PLAIN), tmp_path / "store")
    assert data.rows == 2 and data.view(None, "all").values("c", None).to_list() == [None, "x", "y"]


def test_quoted_text_is_what_it_says(settings, tmp_path):
    rows = '0,v,train,1,"a,b"\n1,v,train,2,"say ""no"""\n1,v,train,3,"two\nlines"\n'
    data = load(settings(path=csv(tmp_path, HEADER + rows), **PLAIN), tmp_path / "store")
    assert data.view(None, "all").values("c", None).to_list() == [None, "a,b", 'say "no"', "two\nlines"]


def test_csv_is_converted_once(settings, tmp_path, monkeypatch):
    path = csv(tmp_path, HEADER + GOOD)
    load(settings(path=path, **PLAIN), tmp_path / "store")
    monkeypatch.setattr("distill.data.csv_rows._convert", lambda *_: pytest.fail("converted again"))
    data = load(settings(path=path, features={"c": "categorical", "n": "numeric"}), tmp_path / "store")
    assert data.key("c").tolist() == [0, 1]


ZONED, BARE = "2030-01-01T00:00+02:00", "2030-01-01T00:00"


def timed(load_frame, times: pl.Series | list, valid: str = "2030-01-02") -> np.ndarray:
    frame = pl.DataFrame({"label": [0, 1], "vertical": "v", "at": times, "n": 1})
    split = {"by": "time", "valid": valid, "test": valid.replace("-02", "-03")}
    return load_frame(frame, time="at", split=split, features={"n": "numeric"}).time


def test_zones_are_one_time(load_frame):
    zone = pl.Series([ZONED, "2029-12-31T22:00Z"])
    valid = "2030-01-02T00:00+00:00"
    assert len(set(timed(load_frame, zone, valid).tolist())) == 1
    assert len(set(timed(load_frame, zone.str.to_datetime().dt.convert_time_zone("Asia/Tokyo"), valid).tolist())) == 1


def test_some_with_a_zone_and_some_without_cannot_be_compared(settings, load_frame, tmp_path):
    with pytest.raises(DataError, match=r"`at`: holds text that is no ISO date or time\. .* all with a zone"):
        timed(load_frame, [ZONED, BARE])
    for number, moment in enumerate((ZONED, BARE)):
        frame = pl.DataFrame({"label": [0, 1], "vertical": "v", "at": [moment] * 2, "n": 1})
        frame.write_parquet(tmp_path / f"{number}.parquet")
    split = {"by": "time", "valid": "2030-01-02", "test": "2030-01-03"}
    section = settings(path=tmp_path / "*.parquet", time="at", split=split, features={"n": "numeric"})
    second = re.escape(
        f"{tmp_path / '1.parquet'}: column `at`, row 0: holds times without a zone from here on, and times"
    )
    with pytest.raises(DataError, match=second):
        load(section, tmp_path / "store")


def test_a_time_that_is_none_is_shown_where_it_stands(settings, tmp_path):
    """In the second file, in its third row."""
    for number, moments in enumerate(([BARE] * 4, [BARE, None, "03/04/2026 10:11", BARE])):
        frame = pl.DataFrame({"label": [0, 1] * 2, "vertical": "v", "at": moments, "n": 1})
        frame.write_parquet(tmp_path / f"{number}.parquet")
    split = {"by": "time", "valid": "2030-01-02", "test": "2030-01-03"}
    section = settings(path=tmp_path / "*.parquet", time="at", split=split, features={"n": "numeric"}, block=5)
    where = re.escape(f'{tmp_path / "1.parquet"}: column `at`, row 2: holds "03/04/2026 10:11", which is no ISO date')
    with pytest.raises(DataError, match=where):
        load(section, tmp_path / "store")


@pytest.mark.parametrize("name", ["a/b", "../..", "🍕 & 🍷", "x" * 300, " ", "vertical=1", 'quo"te', "\\", "a\nb"])
def test_verticals_of_any_name(load_frame, table, name):
    named = table.with_columns(vertical=pl.when(pl.col("vertical") == "toys").then(pl.lit(name)).otherwise("vertical"))
    data = load_frame(named, domain=None)
    view = data.view(None, "vertical")
    assert data.verticals == tuple(sorted({"cars", "food", name})) and name in data.parts
    assert view.schema(name).verticals == 1 and len(view.values("item", name)) > 1
    assert set(data.select(0, name)) == set((named["vertical"] == name).arg_true().to_list()) & set(range(40))


def test_features_and_columns_of_any_name(load_frame, table):
    odd = table.rename({"item": "it/em 🙂", "seen": "se en"})
    features = {"a/b": {"kind": "categorical", "column": "it/em 🙂"}, ".": {"kind": "multi_valued", "column": "se en"}}
    assert load_frame(odd, features=features).view(None, "all").schema(None).tables.keys() == {"a/b", "."}


def test_whole_numbers_beyond_53_bits_are_told_apart(load_frame):
    ids = [2**53, 2**53 + 1, 2**62, 2**62 + 1]
    frame = pl.DataFrame({"label": [0, 1] * 2, "vertical": "v", "split": "train", "c": ids, "u": ids, "row": ids})
    data = load_frame(frame, features={"c": "categorical"}, user="u", row_id="row")
    assert data.view(None, "all").take(torch.arange(4)).features.categorical[:, 0].tolist() == [1, 2, 3, 4]
    assert len(set(data.user)) == 4 and data.locate(pl.Series([2**62 + 1])).tolist() == [3]


@pytest.mark.parametrize("where", ["feature", "user", "list", "split"])
def test_ids_that_floating_point_has_merged_are_refused(load_frame, where):
    ids = [float(2**53), 1.0]
    frame = pl.DataFrame({"label": [0, 1], "vertical": "v", "split": "train", "c": ids, "n": [1, 2]})
    changes = {"features": {"n": "numeric"}, "user": "c"}
    if where == "feature":
        changes = {"features": {"c": "categorical"}}
    if where == "split":
        changes = {"features": {"n": "numeric"}, "split": {"by": "hash", "column": "c"}}
    if where == "list":
        frame, changes = frame.with_columns(c=pl.concat_list("c")), {"features": {"c": {"kind": "multi_valued"}}}
    with pytest.raises(DataError, match=r"`c`, row 0: is beyond 2\^53, where floating point merges"):
        load_frame(frame, **changes)


def test_whole_numbers_that_another_file_makes_floating_point(settings, tmp_path):
    """Pandas turns ids into numbers with a point as soon as one is missing."""
    frame = pl.DataFrame({"label": [0, 1], "vertical": "v", "split": "train", "c": [7, 8]})
    frame.write_parquet(tmp_path / "1.parquet")
    section = settings(path=tmp_path / "*.parquet", features={"c": "categorical"})
    load(section, tmp_path / "store")
    frame.with_columns(c=pl.Series([7.0, None])).write_parquet(tmp_path / "2.parquet")
    data = load(section, tmp_path / "store")
    assert data.view(None, "all").take(torch.arange(4)).features.categorical[:, 0].tolist() == [1, 2, 1, 3]


@pytest.mark.parametrize(
    ("label", "wanted"), [([True, False], [1, 0]), ([1.0, 0.0], [1, 0]), (["yes", "no"], None), (["1", "0"], None)]
)
def test_labels_of_other_types(load_frame, label, wanted):
    frame = pl.DataFrame({"label": label, "vertical": "v", "split": "train", "n": 1})
    if wanted is None:
        with pytest.raises(DataError, match=r"holds text.*where numbers are meant\. Write 0 and 1, or true and false"):
            load_frame(frame, features={"n": "numeric"})
    else:
        assert load_frame(frame, features={"n": "numeric"}).label[:, 0].tolist() == wanted


def test_labels_of_csv_may_be_true_and_false(settings, tmp_path):
    path = csv(tmp_path, HEADER + "true,v,train,1,x\nfalse,v,train,2,y\n")
    assert load(settings(path=path, **PLAIN), tmp_path / "store").label[:, 0].tolist() == [1, 0]


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 12))])
def test_a_byte_that_rots_is_found(table, settings, tmp_path, seed, monkeypatch):
    """Any byte of any file of the store: the whole is made again, and gives the numbers that it gave. In every other
    case the files had been verified before, and the time of modification is put back."""
    path, rng = tmp_path / "rows.parquet", np.random.default_rng(seed)
    table.write_parquet(path)
    section = settings(path=path, block=25, row_id="id", user="user")
    before = load(section, tmp_path / "store")
    views = [before.view(None, scope) for scope in ("all", "vertical")]
    kept = [view._record.clone() for view in views]
    if seed % 2:
        monkeypatch.setattr(sealed, "SETTLED", -1.0)
        for scope in ("all", "vertical"):
            load(section, tmp_path / "store").view(None, scope)
        time.sleep(0.03)  # Times of files are coarser than those of the clock.
    memory = ("sources.json", "verified.json")
    files = [file for file in sorted((tmp_path / "store").rglob("*")) if file.is_file() and file.name not in memory]
    file = files[rng.integers(len(files))]
    lain = file.stat().st_mtime_ns
    content = bytearray(file.read_bytes())
    place = int(rng.integers(len(content)))
    content[place] ^= 1 << int(rng.integers(8))
    file.write_bytes(content)
    os.utime(file, ns=(lain, lain))
    if file.name != "manifest.json":  # There, a blank that turns into another one changes nothing.
        assert unsealed(file.parent) is None
    after = load(section, tmp_path / "store")
    assert after.fingerprint == before.fingerprint and after.parts == before.parts
    assert after.label.tolist() == load(section, tmp_path / "fresh").label.tolist()
    for scope, record in zip(("all", "vertical"), kept, strict=True):
        assert torch.equal(after.view(None, scope)._record, record)
    assert equal(after.view(None, "all"), load(section, tmp_path / "fresh").view(None, "all"))
    assert after.locate(pl.Series([1007])).tolist() == [7]


def test_a_memory_of_hashes_that_rots_is_not_believed(table, settings, tmp_path):
    path = tmp_path / "rows.parquet"
    table.write_parquet(path)
    before = load(settings(path=path), tmp_path / "store")
    (tmp_path / "store" / "sources.json").write_text('{"x": [')
    assert load(settings(path=path), tmp_path / "store").fingerprint == before.fingerprint
