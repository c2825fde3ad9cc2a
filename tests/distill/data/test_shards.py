"""Streaming: any block size gives the same, what is done is kept, what grows is not encoded again."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from distill.data import shards as module
from distill.data.impressions import load
from distill.data.source import Cut
from distill.errors import DataError, Fault, StoreError
from tests.distill.data.test_impressions import equal

ROLES = {"time": "moment", "user": "user", "weight": "weight", "domain": "domain", "row_id": "id"}


@pytest.fixture
def encoded(monkeypatch) -> list[Cut]:
    """The cuts that are encoded from now on."""
    done: list[Cut] = []
    encode = module.Encoding._encode

    def counted(self, cut, frame, folder):
        done.append(cut)
        return encode(self, cut, frame, folder)

    monkeypatch.setattr(module.Encoding, "_encode", counted)
    return done


@pytest.mark.parametrize("block", [4, 59])
def test_the_size_of_a_block_changes_nothing(table, settings, tmp_path, block):
    path = tmp_path / "rows.parquet"
    table.write_parquet(path, row_group_size=13)
    whole = load(settings(path=path, **ROLES), tmp_path / "whole")
    cut = load(settings(path=path, block=block, **ROLES), tmp_path / "cut")
    assert (cut.fingerprint, cut.parts, cut.domains) == (whole.fingerprint, whole.parts, whole.domains)
    assert cut.warnings == whole.warnings
    for name in ("split", "vertical", "label", "valid", "weight", "time", "user"):
        assert np.array_equal(getattr(cut, name), getattr(whole, name)), name
    assert equal(cut.view(None, "all"), whole.view(None, "all"))
    one, other = (data.view(None, "vertical") for data in (cut, whole))
    assert torch.equal(one._record, other._record) and one.heights == other.heights
    assert cut.locate(pl.Series([1007, 3])).tolist() == [7, -1]
    assert cut.key("place").tolist() == whole.key("place").tolist()


def days(table: pl.DataFrame, folder: Path, count: int) -> Path:
    folder.mkdir(exist_ok=True)
    for day in range(count):
        table[20 * day : 20 * (day + 1)].write_parquet(folder / f"day-{day}.parquet")
    return folder


def test_a_day_that_is_appended_is_all_that_is_encoded(table, settings, tmp_path, encoded):
    section = settings(path=days(table, tmp_path / "log", 2), block=15)
    before = load(section, tmp_path / "store")
    assert [cut.start for cut in encoded] == [0, 15, 20, 35]
    encoded.clear()
    days(table, tmp_path / "log", 3)
    after = load(section, tmp_path / "store")
    assert [cut.start for cut in encoded] == [40, 55]
    assert after.fingerprint != before.fingerprint and after.rows == 60
    fresh = load(settings(path=tmp_path / "log"), tmp_path / "fresh")
    assert equal(after.view(None, "all"), fresh.view(None, "all")) and after.parts == fresh.parts


def test_a_day_in_the_middle_is_encoded_with_all_behind_it(table, settings, tmp_path, encoded):
    section = settings(path=days(table, tmp_path / "log", 3))
    load(section, tmp_path / "store")
    encoded.clear()
    table[20:39].write_parquet(tmp_path / "log" / "day-1.parquet")
    load(section, tmp_path / "store")
    assert [cut.start for cut in encoded] == [20, 39]


def test_verticals_without_new_rows_keep_their_parts_and_ids(table, settings, tmp_path):
    old, new = table.filter(pl.col("split") != "test"), table.filter(split="test", vertical="toys")
    (tmp_path / "log").mkdir()
    old.write_parquet(tmp_path / "log" / "1.parquet")
    section = settings(path=tmp_path / "log")
    before = load(section, tmp_path / "store")
    new.with_columns(split=pl.lit("train")).write_parquet(tmp_path / "log" / "2.parquet")
    after = load(section, tmp_path / "store")
    assert {name for name in after.parts if after.parts[name] != before.parts[name]} == {"toys"}
    names = ["item", "place", "history"]
    one, other = (data.view(names, "vertical") for data in (before, after))
    assert one.fingerprint == other.fingerprint, "no constants: nothing that other verticals could change"
    kept = torch.from_numpy(np.flatnonzero(before.vertical != before.verticals.index("toys")))
    assert torch.equal(one.take(kept).features.categorical, other.take(kept).features.categorical)
    assert torch.equal(one.take(kept).features.sequences["history"], other.take(kept).features.sequences["history"])


def test_behind_enough_training_rows_new_ones_move_no_number(table, settings, tmp_path, monkeypatch):
    monkeypatch.setattr("distill.data.assembly.FIT", 30)
    section = settings(
        path=days(table, tmp_path / "log", 2), split={"by": "time", "valid": 100, "test": 101}, time="moment"
    )
    before = load(section, tmp_path / "store").view(["age"], "vertical").fingerprint
    days(table.with_columns(age=pl.col("age") + 1), tmp_path / "more", 3)
    shutil.copy(tmp_path / "more" / "day-2.parquet", tmp_path / "log")
    assert load(section, tmp_path / "store").view(["age"], "vertical").fingerprint == before


def test_a_bound_that_moves_encodes_nothing_again(table, settings, tmp_path, encoded):
    path = tmp_path / "rows.parquet"
    table.write_parquet(path)
    early, late = ({"by": "time", "valid": at, "test": at + 4} for at in (10, 11))
    before = load(settings(path=path, time="moment", split=early), tmp_path / "store")
    encoded.clear()
    after = load(settings(path=path, time="moment", split=late), tmp_path / "store")
    assert encoded == [] and after.fingerprint != before.fingerprint
    assert (after.split == 0).sum() == (before.split == 0).sum() + 2
    moved = {table["vertical"][row] for row in (20, 21, 28, 29)}
    assert {name for name in after.parts if after.parts[name] != before.parts[name]} == moved


KILLED = """
import os, sys
from pathlib import Path
from distill.data import shards
from distill.data.impressions import load
from distill.data.settings import DataSettings

encode, done = shards.Encoding._encode, []
def dying(self, cut, frame, folder):
    if len(done) == 2:
        os._exit(9)
    done.append(cut)
    return encode(self, cut, frame, folder)
shards.Encoding._encode = dying
load(DataSettings.model_validate_json(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_killed_encoding_goes_on_behind_its_last_shard(table, settings, tmp_path, encoded):
    path = tmp_path / "rows.parquet"
    table.write_parquet(path)
    section = settings(path=path, block=16, **ROLES)
    command = [sys.executable, "-c", KILLED, section.model_dump_json(), str(tmp_path / "store")]
    assert subprocess.run(command, check=False).returncode == 9
    went_on = load(section, tmp_path / "store")
    assert [cut.start for cut in encoded] == [32, 48]
    fresh = load(section, tmp_path / "fresh")
    assert went_on.parts == fresh.parts and equal(went_on.view(None, "all"), fresh.view(None, "all"))


@pytest.mark.parametrize("call", range(6))
def test_a_disk_that_fills_up_keeps_what_was_committed(table, settings, tmp_path, monkeypatch, encoded, call):
    """Whichever file it is that finds no room: the error says so, and the next run goes on."""
    path, calls = tmp_path / "rows.parquet", []
    table.write_parquet(path)
    section = settings(path=path, block=25)
    write = {"save": np.save, "frame": module.write_frame}

    def full(name):
        def act(*args):
            calls.append(name)
            if len(calls) == call + 3:
                raise (
                    StoreError(Fault("disk", "has no room.", "Free some.")) if name == "frame" else OSError(28, "full")
                )
            return write[name](*args)

        return act

    monkeypatch.setattr(np, "save", full("save"))
    monkeypatch.setattr(module, "write_frame", full("frame"))
    with pytest.raises(StoreError) as caught:
        load(section, tmp_path / "store")
    assert not list((tmp_path / "store").glob("**/*.draft"))
    committed = len(list((tmp_path / "store" / "shards").glob("*/manifest.json")))
    said, kept = str(caught.value), f" {committed} of 3 blocks are encoded and kept"
    assert said.endswith((f"some.{kept}.", f"full.{kept}; the same command goes on behind them.")) or not committed
    encoded.clear()
    calls.extend([""] * 1000)
    again = load(section, tmp_path / "store")
    assert len(encoded) == 3 - committed
    assert equal(again.view(None, "all"), load(section, tmp_path / "fresh").view(None, "all"))


def test_a_disk_that_fills_up_behind_the_last_block_keeps_all_of_them(table, settings, tmp_path, monkeypatch, encoded):
    path = tmp_path / "rows.parquet"
    table.write_parquet(path)
    section = settings(path=path, block=25)
    with (
        monkeypatch.context() as patched,
        pytest.raises(StoreError, match=r"full\. 3 of 3 blocks are encoded and kept"),
    ):
        patched.setattr("distill.data.making.Assembly.write", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        load(section, tmp_path / "store")
    encoded.clear()
    assert load(section, tmp_path / "store").rows == 60 and encoded == []


def test_faults_are_counted_over_blocks_and_nothing_behind_them_is_kept(table, settings, tmp_path):
    path = tmp_path / "rows.parquet"
    table.with_columns(label=pl.when(pl.col("id") % 20 == 9).then(7).otherwise("label")).write_parquet(path)
    with pytest.raises(DataError, match=r"row 9: a label is 0 or 1, but this column holds 7 \(3 such rows\)"):
        load(settings(path=path, block=5), tmp_path / "store")
    assert len(list((tmp_path / "store").glob("shards/*/manifest.json"))) == 1


def test_a_row_id_that_comes_back_in_another_block(table, settings, tmp_path):
    path = tmp_path / "rows.parquet"
    table.with_columns(id=pl.when(pl.col("id") == 1055).then(1002).otherwise("id")).write_parquet(path)
    with pytest.raises(DataError, match=r"`id`: names several rows with one id \(2 rows; 1002\)"):
        load(settings(path=path, row_id="id", block=5), tmp_path / "store")


@pytest.mark.parametrize("bucket", [7, 1000])
def test_row_ids_are_compared_a_bucket_at_a_time(table, settings, tmp_path, monkeypatch, bucket):
    monkeypatch.setattr("distill.data.assembly.BUCKET", bucket)
    path = tmp_path / "rows.parquet"
    ids = pl.col("id").cast(pl.String)
    table.with_columns(id=pl.when(pl.col("id") == 1055).then(pl.lit("1002")).otherwise(ids)).write_parquet(path)
    with pytest.raises(DataError, match="1002"):
        load(settings(path=path, row_id="id", block=5), tmp_path / "store")
    table.write_parquet(path)
    assert load(settings(path=path, row_id="id", block=5), tmp_path / "store").rows == 60


MEASURED = """
import resource, sys
from pathlib import Path
from distill.data.impressions import load
from distill.data.settings import DataSettings
section = DataSettings.model_validate_json(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
data = load(section, Path(sys.argv[2]))
data.view(None, "all"), data.view(None, "vertical")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(settings, tmp_path):
    """Eight times the rows, in the memory of the same blocks: little more than that of what every row has."""
    rng = np.random.default_rng(0)
    used = []
    for blocks in (4, 32):
        rows = blocks * 16_384
        frame = pl.DataFrame(
            {
                "label": rng.integers(2, size=rows),
                "vertical": rng.integers(9, size=rows),
                "split": "train",
                **{f"x{n}": rng.normal(size=rows) for n in range(8)},
                **{f"c{n}": rng.integers(1000, size=rows) for n in range(8)},
                "seen": rng.integers(1000, size=(rows, 20)).tolist(),
            }
        ).with_columns(seen=pl.col("seen").cast(pl.List(pl.Int64)))
        path = tmp_path / f"{blocks}.parquet"
        frame.write_parquet(path, row_group_size=16_384)
        features = {f"x{n}": "numeric" for n in range(8)} | {f"c{n}": "categorical" for n in range(8)}
        features["seen"] = {"kind": "multi_valued", "length": 20}
        section = settings(path=path, block=16_384, features=features)
        command = [sys.executable, "-c", MEASURED, section.model_dump_json(), str(tmp_path / f"store-{blocks}")]
        used.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    assert used[1] < used[0] + 60, used
