"""Loading: what is found again, what changes a fingerprint, and what a damaged store costs."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from distill.data import impressions as module
from distill.data.impressions import TEST, TRAIN, VALID, fingerprint, load
from distill.errors import DataError, StoreError
from distill.progress import Progress


def equal(one, other) -> bool:
    """Whether two views give the same batch of all rows."""
    rows = torch.arange(one._record.shape[0])
    first, second = one.take(rows), other.take(rows)
    return (
        one.schema(None) == other.schema(None)
        and torch.equal(one._record, other._record)
        and all(
            torch.equal(first.features.vectors[name], second.features.vectors[name]) for name in first.features.vectors
        )
    )


def test_what_every_row_has(table, load_frame):
    data = load_frame(table, time="moment", user="user", weight="weight", domain="domain", row_id="id")
    assert (data.rows, data.tasks, data.verticals, data.row_id) == (60, ("click",), ("cars", "food", "toys"), "id")
    assert data.domains == {"cars": "rare", "food": "daily", "toys": "rare"}
    assert np.array(data.verticals)[data.vertical].tolist() == table["vertical"].to_list()
    assert np.array(["train", "valid", "test"])[data.split].tolist() == table["split"].to_list()
    assert data.label[:, 0].tolist() == table["label"].to_list() and data.label.dtype == np.float32
    assert data.valid.all() and data.weight.tolist() == table["weight"].to_list()
    assert data.time.tolist() == table["moment"].to_list() and data.time.dtype == np.int64
    pairs = set(zip(data.user.tolist(), table["user"], strict=True))
    assert len(pairs) == table["user"].n_unique() == len({number for number, _ in pairs})


def test_without_time_user_and_weight_there_are_none(table, load_frame):
    data = load_frame(table)
    assert data.time is None and data.user is None and (data.weight == 1).all()


def test_a_missing_label_of_one_of_several_tasks_is_masked(table, load_frame):
    data = load_frame(table, label={"click": "label", "sale": "bought"})
    assert data.tasks == ("click", "sale")
    assert data.valid[:, 1].tolist() == table["bought"].is_not_null().to_list() and data.valid[:, 0].all()
    assert data.label[:, 1].tolist() == table["bought"].fill_null(0).to_list()


def test_select(table, load_frame):
    data = load_frame(table)
    for split, name in ((TRAIN, "train"), (VALID, "valid"), (TEST, "test")):
        wanted = table["split"] == name
        assert data.select(split).tolist() == wanted.arg_true().to_list()
        assert data.select(split).dtype == np.int64
        for vertical in data.verticals:
            assert (
                data.select(split, vertical).tolist() == (wanted & (table["vertical"] == vertical)).arg_true().to_list()
            )


def test_key_numbers_the_values_of_any_column(table, load_frame):
    data = load_frame(table)
    assert np.array(table["user"].unique().sort())[data.key("user")].tolist() == table["user"].to_list()
    assert data.key("place")[table["place"].is_null().to_numpy()].tolist() == [2] * table["place"].null_count()
    assert data.key("item").dtype == np.int64
    with pytest.raises(DataError, match=r'column `usr`: does not exist\. Did you mean "user"'):
        data.key("usr")
    with pytest.raises(DataError, match="column `seen`: holds lists of whole numbers, where one value a row"):
        data.key("seen")


@pytest.mark.parametrize("kind", [pl.Int64, pl.String, pl.UInt16])
def test_locate_by_id(table, load_frame, kind):
    data = load_frame(table.with_columns(pl.col("id").cast(kind)).sample(fraction=1, shuffle=True, seed=1), row_id="id")
    found = data.locate(pl.Series([1059, 7, 1000, None, 1000]).cast(kind))
    ids = table["id"].sample(fraction=1, shuffle=True, seed=1).to_list()
    assert found.tolist() == [ids.index(1059), -1, ids.index(1000), -1, ids.index(1000)] and found.dtype == np.int64


def test_locate_refuses_ids_of_another_kind(table, load_frame):
    with pytest.raises(DataError, match="row ids: are text, where `id` holds whole numbers"):
        load_frame(table, row_id="id").locate(pl.Series(["1000"]))


def test_without_row_ids_the_position_is_the_id(table, load_frame):
    assert load_frame(table).locate(pl.Series([59, 60, 0, -1])).tolist() == [59, -1, 0, -1]


def test_positions_go_on_from_file_to_file(table, settings, tmp_path):
    table[:25].write_parquet(tmp_path / "day-1.parquet")
    table[25:].write_parquet(tmp_path / "day-2.parquet")
    table.write_parquet(tmp_path / "all.parquet")
    parts = load(settings(path=tmp_path / "day-*.parquet"), tmp_path / "store")
    whole = load(settings(path=tmp_path / "all.parquet"), tmp_path / "store")
    assert equal(parts.view(None, "all"), whole.view(None, "all")) and parts.parts == whole.parts


def test_csv_gives_what_parquet_gives(table, settings, tmp_path):
    columns = ["label", "bought", "vertical", "split", "moment", "user", "item", "place", "age"]
    table[columns].write_parquet(tmp_path / "rows.parquet")
    table[columns].write_csv(tmp_path / "rows.csv")
    features = {"item": "categorical", "place": "categorical", "age": "numeric"}
    common = {"time": "moment", "user": "user", "features": features, "label": {"a": "label", "b": "bought"}}
    one, other = (load(settings(path=tmp_path / f"rows.{end}", **common), tmp_path) for end in ("csv", "parquet"))
    assert one.parts == other.parts and one.fingerprint != other.fingerprint
    assert equal(one.view(None, "all"), other.view(None, "all"))
    assert not list(one.folder.glob("**/scratch*"))


def test_a_generated_world_is_data_like_any_other(settings, tmp_path):
    world = {"rows": 400, "users": 20, "items": 40}
    features = {"item_id": "categorical", "history": FEATURE_OF_A_WORLD}
    data = load(settings(world=world, features=features, time="time", row_id="row_id"), tmp_path)
    assert data.rows == 400 and len(data.verticals) == 12
    path = next(tmp_path.glob("worlds/*.parquet"))
    assert (
        load(settings(path=path, features=features, time="time", row_id="row_id"), tmp_path).fingerprint
        == data.fingerprint
    )


FEATURE_OF_A_WORLD = {"kind": "sequence", "columns": {"hist_items": "item_id"}, "newest": "first"}


def test_the_fingerprint_is_that_of_the_content(table, settings, tmp_path):
    here, there = tmp_path / "here.parquet", tmp_path / "elsewhere" / "there.parquet"
    there.parent.mkdir()
    table.write_parquet(here)
    shutil.copy(here, there)
    first = fingerprint(settings(path=here), tmp_path / "a")
    assert (
        first
        == fingerprint(settings(path=there), tmp_path / "b")
        == load(settings(path=here), tmp_path / "c").fingerprint
    )
    assert first != fingerprint(settings(path=here, weight="weight"), tmp_path)
    assert first != fingerprint(settings(path=here, features={"item": "categorical"}), tmp_path)
    table.with_columns(pl.when(pl.col("id") == 1007).then(3.5).otherwise("age").alias("age")).write_parquet(here)
    assert first != fingerprint(settings(path=here), tmp_path / "a")


@pytest.mark.parametrize(
    "column", ["label", "item", "place", "age", "seen", "stars", "tags", "text", "weight", "user", "moment"]
)
def test_a_changed_value_changes_the_part_of_its_vertical_alone(table, load_frame, column):
    common = {"time": "moment", "user": "user", "weight": "weight"}
    before = load_frame(table, **common)
    old = table[column].to_list()
    new = next(v for v in old if v != old[3] and (not isinstance(v, list) or len(v) == len(old[3]) or column == "tags"))
    if column in ("seen", "stars"):
        new = [9, *old[3][1:]] if old[3] else old[3]
        assert new != old[3]
    values = [new if i == 3 else v for i, v in enumerate(old)]
    after = load_frame(table.with_columns(pl.Series(column, values, dtype=table.schema[column])), **common)
    assert after.fingerprint != before.fingerprint
    assert {v for v in before.parts if before.parts[v] != after.parts[v]} == {table["vertical"][3]}


def test_columns_that_nobody_named_belong_to_no_part(table, load_frame):
    changed = table.with_columns(pl.col("id") + 1)
    assert load_frame(table).parts == load_frame(changed).parts


def test_rows_of_another_vertical_in_between_change_no_part(table, load_frame):
    mixed, sorted_ = load_frame(table), load_frame(table.sort("vertical", maintain_order=True))
    assert mixed.parts == sorted_.parts


def test_a_second_load_reads_nothing(table, settings, tmp_path, monkeypatch):
    path = tmp_path / "rows.parquet"
    table.write_parquet(path)
    first = load(settings(path=path), tmp_path).view(None, "vertical")
    monkeypatch.setattr(module, "make", lambda *_: pytest.fail("encoded again"))
    monkeypatch.setattr(module, "Encoder", lambda *_: pytest.fail("encoded again"))
    again = load(settings(path=path), tmp_path).view(None, "vertical")
    assert torch.equal(first._record, again._record)


@pytest.mark.parametrize("name", ["manifest.json", "label.npy", "vertical.npy", "shards.json"])
@pytest.mark.parametrize("damage", ["gone", "half"])
def test_a_damaged_folder_is_made_again(table, settings, tmp_path, name, damage):
    path = tmp_path / "rows.parquet"
    table.write_parquet(path)
    view = load(settings(path=path), tmp_path).view(None, "all")
    before = view._record.clone()
    _harm(view.base / name, damage)
    said = io.StringIO()
    assert torch.equal(load(settings(path=path), tmp_path, Progress(said)).view(None, "all")._record, before)
    assert f"warning: {view.base}, or a block of it, was damaged; it is made again." in said.getvalue()


@pytest.mark.parametrize("damage", ["gone", "half"])
def test_a_damaged_view_is_made_again(table, settings, tmp_path, damage):
    path = tmp_path / "rows.parquet"
    table.write_parquet(path)
    view = load(settings(path=path), tmp_path).view(None, "all")
    before = view._record.clone()
    _harm(view.folder / "record.npy", damage)
    assert torch.equal(load(settings(path=path), tmp_path).view(None, "all")._record, before)


def _harm(path: Path, damage: str) -> None:
    if damage == "gone":
        path.unlink()
    else:
        os.truncate(path, path.stat().st_size // 2)


KILLED = """
import os, sys
from pathlib import Path
from distill.data import columns, encoding, sealed
from distill.data.impressions import load
from distill.data.settings import DataSettings

kill = lambda *_: os._exit(9)
write_json = sealed.write_json
deaths = {
    "columns": lambda: setattr(columns.Number, "code", kill),
    "seal": lambda: setattr(sealed, "write_json", kill),
    "records": lambda: setattr(encoding.Encoder, "_records", kill),
}
section, folder = DataSettings.model_validate_json(sys.argv[1]), Path(sys.argv[2])
for where, arrange in deaths.items():
    if os.fork() == 0:
        arrange()
        load(section, folder / where).view(None, "all")
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 9
"""


def test_a_killed_run_goes_on(table, settings, tmp_path):
    path = tmp_path / "rows.parquet"
    table.write_parquet(path)
    section = settings(path=path)
    subprocess.run([sys.executable, "-c", KILLED, section.model_dump_json(), str(tmp_path)], check=True)
    fresh = load(section, tmp_path / "fresh").view(None, "all")
    for where in ("columns", "seal", "records"):
        assert bool(list((tmp_path / where).glob("*/manifest.json"))) == (where == "records")
        went_on = load(section, tmp_path / where).view(None, "all")
        assert equal(went_on, fresh) and went_on.fingerprint == fresh.fingerprint


def test_a_store_that_cannot_be_written_is_said_to_be_so(table, settings, tmp_path):
    path = tmp_path / "rows.parquet"
    table.write_parquet(path)
    (tmp_path / "store").write_text("in the way")
    with pytest.raises(StoreError, match="store: cannot be used: Not a directory"):
        load(settings(path=path), tmp_path / "store")


def test_nothing_is_left_of_data_that_were_refused(table, settings, tmp_path):
    path = tmp_path / "rows.parquet"
    table.with_columns(label=pl.lit(3)).write_parquet(path)
    with pytest.raises(DataError):
        load(settings(path=path), tmp_path / "store")
    assert list((tmp_path / "store").glob("**/manifest.json")) == []
