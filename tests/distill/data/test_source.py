"""Files that are found or not, readable or not, and of one shape or not."""

import os
import time
from pathlib import Path

import polars as pl
import pytest

from distill.data import finding as module
from distill.data.finding import digest, find
from distill.data.impressions import load
from distill.data.kinds import widened
from distill.data.source import Source
from distill.errors import DataError

FRAME = pl.DataFrame({"a": [1, 2], "b": ["x", None]})


def values(source: Source, column: str) -> list:
    return [value for frame in source.read([column], source.cuts(2)) for value in frame.to_series().to_list()]


def sourced(folder: Path) -> Source:
    files = find(folder)
    return Source(files, digest(files, folder / "store"), folder / "store")


def said(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        find(path)
    return str(caught.value).replace(str(path.parent), "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two days of Parquet beside things that are no data."""
    for name in ("b/day-2.parquet", "a/day-1.parquet", "_tmp/day-3.parquet", ".hidden.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        FRAME.write_parquet(tmp_path / name)
    (tmp_path / "README.md").write_text("about these data")
    return tmp_path


def test_a_file_a_glob_and_a_folder(folder):
    one, two = folder / "a/day-1.parquet", folder / "b/day-2.parquet"
    assert find(one) == (one,)
    assert find(folder) == (one, two)
    assert find(folder / "?" / "*.parquet") == find(folder / "**" / "day-[12].parquet") == (one, two)


def test_a_file_whose_name_looks_like_a_glob(tmp_path):
    FRAME.write_parquet(tmp_path / "day[1].parquet")
    assert find(tmp_path / "day[1].parquet") == (tmp_path / "day[1].parquet",)
    assert Source(find(tmp_path / "day[1].parquet")).rows == 2


def test_what_is_not_there(folder):
    assert said(folder / "a/day-11.parquet") == '/day-11.parquet: does not exist. Did you mean "/day-1.parquet"?'
    assert said(folder / "nothing") == "/nothing: does not exist. Give data.path: a file, a glob or a folder."
    assert (
        said(folder / "c" / "day.parquet")
        == "/day.parquet: does not exist, nor does the folder . Give data.path: a file, a glob or a folder."
    )
    assert said(folder / "*.csv") == "/*.csv: matches no file. Give another data.path."
    (folder / "empty").mkdir()
    assert said(folder / "empty") == "/empty: holds no Parquet or CSV file. Give another data.path."


def test_what_is_no_table(folder):
    assert (
        said(folder / "README.md") == "/README.md: is neither Parquet nor CSV. Its name must end with .parquet or .csv."
    )
    FRAME.write_csv(folder / "a" / "day-1.csv")
    assert said(folder / "a") == '/a: holds Parquet and CSV files. Name one kind, for example "*.parquet".'


def test_a_recipe_that_names_no_data_or_two(settings, tmp_path):
    with pytest.raises(
        DataError, match=r"data\.path: no impressions are named\. .* on the command line: data\.path=FILE"
    ):
        load(settings(), tmp_path)
    with pytest.raises(DataError, match="data: `path` and `world` exclude each other"):
        load(settings(path=tmp_path, world={}), tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("x.parquet", b"", "cannot be read as Parquet: it is empty"),
        ("x.parquet", b"PAR1 and then nothing of the kind", "cannot be read as Parquet: .*must end with PAR1"),
        ("x.csv", b"", "cannot be read as CSV: it is empty"),
        ("x.csv", b"a,b\n1,2,3\n", "has 3 fields"),
    ],
)
def test_a_damaged_file(settings, tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name}(, line 2)?: {reason}") as caught:
        load(settings(path=tmp_path / name), tmp_path / "store")
    assert len(caught.value.faults) == 1


def test_a_file_that_is_cut_short(table, settings, tmp_path):
    path = tmp_path / "x.parquet"
    table.write_parquet(path)
    os.truncate(path, path.stat().st_size - 100)
    with pytest.raises(DataError, match=r"x\.parquet: cannot be read as Parquet"):
        load(settings(path=path), tmp_path / "store")


def test_a_file_with_rotten_pages(tmp_path):
    path = tmp_path / "x.parquet"
    pl.DataFrame({"a": range(10_000)}).write_parquet(path)
    content = bytearray(path.read_bytes())
    content[50:4000] = bytes(3950)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.parquet: cannot be read as Parquet"):
        values(Source([path]), "a")


def test_all_damaged_files_are_named(tmp_path):
    for name in ("1.csv", "2.csv"):
        (tmp_path / name).write_text("")
    with pytest.raises(DataError) as caught:
        _ = sourced(tmp_path).schemas
    assert [Path(fault.where).name for fault in caught.value.faults] == ["1.csv", "2.csv"]


def two(folder: Path, first: dict, second: dict, end: str) -> Source:
    for name, columns in (("1", first), ("2", second)):
        frame = pl.DataFrame(columns)
        frame.write_csv(folder / f"{name}.csv") if end == "csv" else frame.write_parquet(folder / f"{name}.parquet")
    return sourced(folder)


@pytest.mark.parametrize("end", ["csv", "parquet"])
def test_files_that_do_not_fit_together(tmp_path, end):
    source = two(tmp_path, {"a": [1], "b": [1]}, {"a": ["x"], "c": [1]}, end)
    with pytest.raises(DataError, match=rf"2\.{end}: column `a`: holds text, but whole numbers in .*1\.{end}\."):
        source.kinds("a")
    with pytest.raises(DataError, match=rf"2\.{end}: column `b`: does not exist, but does in .*1\.{end}\."):
        source.kinds("b")
    with pytest.raises(DataError, match=rf"1\.{end}: column `c`: does not exist, but does in .*2\.{end}\."):
        source.kinds("c")


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ([1], [0.5], [1.0, 0.5]),
        ([None], ["x"], [None, "x"]),
        (pl.Series([1], dtype=pl.Int8), pl.Series([300], dtype=pl.Int32), [1, 300]),
        (pl.Series([1], dtype=pl.UInt64), pl.Series([-1], dtype=pl.Int64), [1, -1]),
        (pl.Series(["a"], dtype=pl.Categorical), ["b"], ["a", "b"]),
        ([[1]], [[0.5]], [[1.0], [0.5]]),
        ([[]], [["x"]], [[], ["x"]]),
    ],
)
def test_types_that_go_together(tmp_path, first, second, both):
    source = two(tmp_path, {"a": first}, {"a": second}, "parquet")
    assert widened(source.kinds("a")) == (both[-1] in (0.5, [0.5]))
    assert values(source, "a") == both


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_blocks_are_of_one_file_and_hold_all_rows(tmp_path, size):
    source = two(tmp_path, {"a": [0, 1, 2, 3, 4]}, {"a": [5, 6]}, "parquet")
    cuts = source.cuts(size)
    assert [cut.rows for cut in cuts] == [min(size, 5 - n) for n in range(0, 5, size)] + [min(size, 2)] * -(-2 // size)
    for first in range(len(cuts)):
        frames = list(source.read(["a"], cuts[first:]))
        assert [len(frame) for frame in frames] == [cut.rows for cut in cuts[first:]]
        assert pl.concat(frames)["a"].to_list() == list(range(7))[cuts[first].start :]


def test_a_row_is_placed_in_its_file(tmp_path):
    source = two(tmp_path, {"a": [0, 1, 2]}, {"a": [3, 4]}, "csv")
    assert [source.place("a", row).removeprefix(f"{tmp_path}/") for row in (2, 3)] == [
        "1.csv: column `a`, row 2",
        "2.csv: column `a`, row 0",
    ]
    assert source.place("a").endswith("1.csv (and 1 more): column `a`")


def test_csv_types_are_those_of_the_whole_file(tmp_path):
    (tmp_path / "x.csv").write_text("a\n" + "1\n" * 5000 + "0.5\n")
    assert sourced(tmp_path).kinds("a") == [pl.Float64]


def test_a_file_is_hashed_again_only_if_it_changed(tmp_path, monkeypatch):
    path, store = tmp_path / "x.csv", tmp_path / "store"
    path.write_text("a\n1\n")
    monkeypatch.setattr(module, "SETTLED", -1.0)
    before = path.stat()
    first = digest([path], store)
    time.sleep(0.03)  # Times of files are coarser than those of the clock.
    opened = []
    monkeypatch.setattr(module.hashlib, "file_digest", lambda *_: opened.append(1) or pytest.fail("read again"))
    assert digest([path], store) == first
    monkeypatch.undo()
    path.write_text("a\n2\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert digest([path], store) != first, "size and time put back: the time of change cannot be"
    (store / "sources.json").write_text("{ damaged")
    path.write_text("a\n1\n")
    assert digest([path], store) == first


def test_a_file_just_written_is_not_trusted_to_lie_still(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a\n1\n")
    state = path.stat()
    first = digest([path], tmp_path)
    path.write_text("a\n2\n")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert digest([path], tmp_path) != first
