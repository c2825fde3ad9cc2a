"""Public sets in files that are not as published: each told by file and line, in words of ours."""

import gzip
import json
import re
from pathlib import Path

import polars as pl
import pytest

from distill.data.public.listing import SETS
from distill.data.public.publicset import PublicSet
from distill.errors import DataError, StoreError
from tests.distill.data.published import write_amazon, write_avazu, write_frappe, write_movielens, write_taobao


def test_a_file_of_another_shape_is_refused(tmp_path):
    write_taobao(tmp_path)
    (tmp_path / "ad_feature.csv").write_text("adgroup_id,cate\n1,2\n")
    with pytest.raises(
        DataError, match=r"ad_feature\.csv: has no column cate_id, campaign_id, .* taobao-ad is published"
    ):
        SETS["taobao-ad"].convert(tmp_path, tmp_path / "x.parquet")


def test_a_line_that_was_cut_off_is_refused(one, published, tmp_path):
    """Its missing fields would be null, and such rows train; in whichever file it is."""
    if one.lines.separator is None:
        pytest.skip("each line is whole by itself")
    files = [path for pattern in one.files for path in sorted(published.glob(pattern))]
    for path in files:
        whole, packed = path.read_bytes(), path.suffix == ".gz"
        lines = (gzip.decompress(whole) if packed else whole).splitlines()
        cut = b"\n".join([*lines, lines[-1].split(one.lines.separator.encode())[0]]) + b"\n"
        path.write_bytes(gzip.compress(cut) if packed else cut)
        where = re.escape(f"{path}, line {len(lines) + 1}: has 1 fields, where the first line has")
        with pytest.raises(DataError, match=where):
            one.convert(published, tmp_path / "out.parquet")
        path.write_bytes(whole)
    one.convert(published, tmp_path / "out.parquet")


def whole(path: Path) -> list[bytes]:
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix == ".gz" else content).splitlines()


def put(path: Path, lines: list[bytes]) -> None:
    content = b"".join(line + b"\n" for line in lines)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def refused(one: PublicSet, folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        one.convert(folder, folder / "out.parquet")
    assert len(caught.value.faults) == 1 and not list(folder.glob("out*"))
    return str(caught.value).removesuffix(" Is it the file as published?")


def test_a_file_without_rows_is_named(one, published):
    """Empty, or with nothing but a header."""
    for path in [path for pattern in one.files for path in sorted(published.glob(pattern))]:
        lines = whole(path)
        put(path, [])
        assert refused(one, published) == f"{path}: is empty."
        if one.lines.header:
            put(path, lines[:1])
            assert refused(one, published) == f"{path}: holds no rows."
        put(path, lines)


def test_a_file_with_one_field_more_in_every_line(one, published):
    """Without a header nothing but the number of fields tells; with one, a column more does no harm."""
    if one.lines.header or one.lines.separator is None:
        pytest.skip("columns have names")
    for pattern, columns in one.files.items():
        path = next(published.glob(pattern))
        lines = whole(path)
        put(path, [line + one.lines.separator.encode() + b"1" for line in lines])
        count = len(columns)
        said = f"{path}, line 1: has {count + 1} fields, where {one.name} is published with {count}."
        assert refused(one, published) == said
        put(path, lines)


def test_text_where_a_number_is_meant_is_shown_with_its_line(one, published):
    """In each column that is more than a name, of each file that has it."""
    for pattern, columns in one.files.items():
        path = sorted(published.glob(pattern))[-1]
        lines = whole(path)
        separator = (one.lines.separator or "").encode()
        held = [name.decode().strip() for name in lines[0].split(separator)] if one.lines.header else list(columns)
        for column in [column for column in columns if column in one.lines.forms]:
            if separator:
                fields = lines[2].split(separator)
                fields[held.index(column)] = b"oops"
                odd = separator.join(fields)
            else:
                odd = json.dumps(
                    json.loads(lines[2]) | {column: "oops" if column in ("overall", "unixReviewTime") else ""}
                )
                odd = odd.encode()
            put(path, [*lines[:2], odd, *lines[3:]])
            said = refused(one, published)
            value = "oops" if b"oops" in odd else ""
            words = one.lines.forms[column].words
            assert said == f'{path}, line 3: holds "{value}" in column `{column}`, where {words} are meant.'
        put(path, lines)


def test_many_odd_lines_of_all_files_are_told_at_once(tmp_path):
    write_taobao(tmp_path)
    for name in ("raw_sample.csv", "user_profile.csv"):
        lines = whole(tmp_path / name)
        put(tmp_path / name, [lines[0], *(b"oops" + line[1:] for line in lines[1:])])
    with pytest.raises(DataError) as caught:
        SETS["taobao-ad"].convert(tmp_path, tmp_path / "out.parquet")
    told = [fault.where.rpartition("/")[2] for fault in caught.value.faults]
    assert told == [f"raw_sample.csv, line {n}" for n in range(2, 7)] + [
        f"user_profile.csv, line {n}" for n in range(2, 6)
    ]


def test_reviews_that_are_cut_off_are_found_by_their_line(tmp_path):
    write_amazon(tmp_path)
    path = tmp_path / "reviews_Beauty_5.json"
    lines = whole(path)
    put(path, [*lines[:-1], lines[-1][:30]])
    assert refused(SETS["amazon"], tmp_path) == f"{path}, line 150: has no `reviewerID`."


def test_a_file_that_was_packed_and_cut_off(tmp_path):
    write_avazu(tmp_path)
    path = tmp_path / "train.gz"
    path.write_bytes(path.read_bytes()[:-400])
    assert refused(SETS["avazu"], tmp_path).startswith(f"{path}: cannot be read: ")


def test_a_part_of_frappe_that_is_named_after_no_split(tmp_path):
    write_frappe(tmp_path)
    (tmp_path / "frappe.test.libfm").rename(tmp_path / "frappe.libfm")
    said = (
        f"{tmp_path}/frappe.libfm: is named after no split: train, validation, valid, test. Rename it, or move it away."
    )
    assert refused(SETS["frappe"], tmp_path) == said


def test_a_disk_without_room_for_a_public_set(tmp_path, monkeypatch):
    write_frappe(tmp_path)
    full = pl.exceptions.ComputeError("No space left on device (os error 28)")
    monkeypatch.setattr(pl.LazyFrame, "sink_parquet", lambda *_: (_ for _ in ()).throw(full))
    with pytest.raises(StoreError, match=r"out\.parquet: the disk has no room for it\. Free some"):
        SETS["frappe"].convert(tmp_path, tmp_path / "out.parquet")


def test_films_of_movielens_are_one_line_each(tmp_path):
    """A film without a line has no genre; one with two would make two impressions of one."""
    write_movielens(tmp_path)
    films = tmp_path / "movies.dat"
    lines = films.read_bytes().splitlines()
    films.write_bytes(b"\n".join(lines[1:]) + b"\n")
    SETS["movielens"].convert(tmp_path, tmp_path / "out.parquet")
    assert "none" in pl.read_parquet(tmp_path / "out.parquet")["vertical"].to_list()
    films.write_bytes(b"\n".join([*lines, lines[0]]) + b"\n")
    with pytest.raises(DataError, match=r"movies\.dat, line 4: names `movie_id` 1 a second time"):
        SETS["movielens"].convert(tmp_path, tmp_path / "out.parquet")
