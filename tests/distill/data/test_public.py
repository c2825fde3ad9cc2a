"""Public sets, each from a small file in the published format that the test writes: it converts, loads and encodes."""

import os
from pathlib import Path

import polars as pl
import pytest

from distill.data.impressions import Impressions, load
from distill.data.public.listing import SETS
from distill.data.public.publicset import PublicSet
from distill.data.settings import DataSettings
from distill.errors import DataError
from tests.distill.data.published import write_aliccp, write_avazu, write_frappe, write_movielens, write_taobao


def loaded(one: PublicSet, folder: Path, to: Path) -> tuple[pl.DataFrame, Impressions]:
    rows = one.convert(folder, to / "rows.parquet")
    settings = DataSettings.model_validate(one.data | {"path": to / "rows.parquet"})
    data = load(settings, to / "store")
    assert data.rows == rows
    return pl.read_parquet(to / "rows.parquet"), data


def test_a_set_is_read_as_published(one, published, tmp_path):
    frame, data = loaded(one, published, tmp_path)
    assert len(data.verticals) > 1 and 0 < data.label[:, 0].mean() < 1
    assert all((data.split == code).any() for code in (0, 1, 2)) or one.name == "ali-ccp"
    for features, scope in ((None, "all"), (None, "vertical")):
        assert data.view(features, scope).schema(None if scope == "all" else data.verticals[0]).tables
    assert frame.columns and (tmp_path / "rows.parquet").exists() and not list(tmp_path.glob("*.draft"))


def test_a_set_says_who_may_use_it(one):
    assert all(len(text) > 5 for text in (one.licence, one.citation, one.split, one.published))


def test_all_files_that_are_missing_are_named(one, tmp_path):
    with pytest.raises(DataError) as caught:
        one.convert(tmp_path, tmp_path / "x.parquet")
    assert [Path(fault.where).name for fault in caught.value.faults] == [Path(name).name for name in one.files]


def test_what_avazu_calls_an_hour(tmp_path):
    write_avazu(tmp_path)
    frame, _ = loaded(SETS["avazu"], tmp_path, tmp_path)
    assert (
        str(frame["time"][3]) == "2014-10-21 03:00:00" and frame["row_id"][0] == str(10**19) and frame["hour"][3] == 3
    )


def test_fields_of_ali_ccp(tmp_path):
    write_aliccp(tmp_path)
    frame, _ = loaded(SETS["ali-ccp"], tmp_path, tmp_path)
    row = frame.row(1, named=True)
    assert (row["205"], row["216"], row["101"], row["301"], row["110_14"]) == ("1", "b", "1", "91", [])
    assert row["109_14"] == ["c1", "c2"] and row["vertical"] == "scene_91" and row["206"] is None
    assert frame["split"].value_counts().sort("split").rows() == [("test", 60), ("train", 60)]


def test_genres_and_likes_of_movielens(tmp_path):
    write_movielens(tmp_path)
    frame, _ = loaded(SETS["movielens"], tmp_path, tmp_path)
    row = frame.row(0, named=True)
    assert (row["genres"], row["vertical"], row["year"]) == (["Animation", "Children's", "Comedy"], "Animation", 1995)
    assert frame["label"][:5].to_list() == [0, 0, 0, 1, 1] and "rating" not in frame.columns


def test_frappe_keeps_its_split_and_ids(tmp_path):
    write_frappe(tmp_path)
    frame, data = loaded(SETS["frappe"], tmp_path, tmp_path)
    assert frame.group_by("split").len().sort("split").rows() == [("test", 30), ("train", 90), ("valid", 30)]
    assert frame["label"].sum() == 50 and frame["city"].unique().sort().to_list() == [900, 901, 902, 903]
    assert data.verticals[0].startswith("daytime_20")


def test_taobao_joins_profiles_that_are_there(tmp_path):
    write_taobao(tmp_path)
    frame, _ = loaded(SETS["taobao-ad"], tmp_path, tmp_path)
    assert len(frame) == 160 and frame.filter(adgroup_id=6)["vertical"].unique().to_list() == ["none"]
    assert frame.filter(user=4)["occupation"].null_count() == 32 and "new_user_class_level" in frame.columns


def test_the_small_open_bandit_set_for_real(tmp_path):
    """The package `obp` brings ten thousand rows of each campaign and policy."""
    import importlib.util

    spec = importlib.util.find_spec("obp")
    folder = (
        Path(os.environ.get("DISTILL_OBP", spec.submodule_search_locations[0] if spec else "/nowhere"))
        / "dataset"
        / "obd"
    )
    if not folder.is_dir():
        pytest.skip("the package obp is not installed")
    frame, data = loaded(SETS["open-bandit"], folder, tmp_path)
    assert data.verticals == ("all", "men", "women") and len(frame) == 60_000
    assert 0.002 < data.label.mean() < 0.008
