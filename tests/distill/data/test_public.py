"""Public sets, each from a small file in the published format that the test writes: it converts, loads and encodes."""

import gzip
import json
import os
import re
from pathlib import Path

import polars as pl
import pytest

from distill.data.impressions import Impressions, load
from distill.data.public import avazu, kuairand, openbandit, taobao
from distill.data.public.listing import SETS
from distill.data.public.publicset import PublicSet
from distill.data.settings import DataSettings
from distill.errors import DataError


def write_criteo(folder: Path) -> None:
    row = "{}\t" + "\t".join(["5", "{}"] + ["7"] * 11) + "\t" + "\t".join(["68fd1e64", ""] + ["{:08x}"] * 24) + "\n"
    (folder / "train.txt").write_text("".join(row.format(n % 2, n if n % 5 else "", *[n % 3] * 24) for n in range(200)))


def write_avazu(folder: Path) -> None:
    rows = ["id,click,hour," + ",".join(avazu.COLUMNS[3:])]
    for n in range(200):
        hour = f"1410{21 + n // 20:02d}{n % 24:02d}"
        rows.append(
            f"{10**19 + n},{n % 2},{hour},"
            + ",".join([str(n % 2), "a1", "b2", f"{n % 3}905ebd", "c", "d", "07d7df22"] + ["x"] * 14)
        )
    with gzip.open(folder / "train.gz", "wt") as file:
        file.write("\n".join(rows) + "\n")


def write_aliccp(folder: Path) -> None:
    for split, first in (("train", 0), ("test", 100)):
        own = "\x01".join(("205\x02{n}\x031.0", "301\x029{s}\x031.0", "216\x02b\x031.0"))
        rows = [
            f"{n},{n % 2},{n % 4 // 3},u{n % 5},3," + own.format(n=n % 9, s=n % 3) for n in range(first, first + 60)
        ]
        (folder / f"sample_skeleton_{split}.csv").write_text("\n".join(rows) + "\n")
        lists = "\x01".join(("109_14\x02c1\x032.3", "109_14\x02c2\x030.7", "101\x02{n}\x031.0", "1101\x02no\x031.0"))
        users = [f"u{n},4," + lists.format(n=n) for n in range(5)]
        (folder / f"common_features_{split}.csv").write_text("\n".join(users) + "\n")


def write_taobao(folder: Path) -> None:
    days = [1_494_000_000 + 86_400 * day for day in range(8)]
    rows = [f"{n % 5},{days[n % 8] + n},{n % 7},430548_1007,{1 - n % 2},{n % 2}" for n in range(160)]
    (folder / "raw_sample.csv").write_text("\n".join(["user,time_stamp,adgroup_id,pid,nonclk,clk", *rows]) + "\n")
    ads = [f"{n},{n % 3},{n},{n},{'NULL' if n == 2 else n},{n + 0.5}" for n in range(6)]
    (folder / "ad_feature.csv").write_text(
        "\n".join(["adgroup_id,cate_id,campaign_id,customer,brand,price", *ads]) + "\n"
    )
    names = ",".join(["userid", *taobao.PROFILE]) + " "
    (folder / "user_profile.csv").write_text("\n".join([names, *(f"{n},0,1,2,3,,3,0,{n}" for n in range(4))]) + "\n")


def write_kuairand(folder: Path) -> None:
    head = "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_rand,tab"
    for name, first in (("log_standard_4_08_to_4_21_1k.csv", 0), ("log_standard_4_22_to_5_08_1k.csv", 100)):
        times = [1_650_000_000_000 + 20_000_000 * n for n in range(first, first + 100)]
        rows = [f"{n % 5},{n % 7},20220408,{n % 24}30,{time},{n % 2},0,0,0,{n % 3}" for n, time in enumerate(times)]
        (folder / name).write_text("\n".join([head, *rows]) + "\n")
    users = "user_id,user_active_degree,is_lowactive_period," + ",".join(kuairand.USER[1:])
    lines = [f"{n},full_active,0," + ",".join(["(10,50]".replace(",", "-")] * 4 + ["1"] * 18) for n in range(5)]
    (folder / "user_features_1k.csv").write_text("\n".join([users, *lines]) + "\n")
    videos = "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,music_id,tag"
    lines = [f'{n},{n},NORMAL,2022-04-01,Web,0,{"" if n else 5000.0},1,"{n},2"' for n in range(6)]
    (folder / "video_features_basic_1k.csv").write_text("\n".join([videos, *lines]) + "\n")


def write_movielens(folder: Path) -> None:
    rows = [f"{n % 40 + 1}::{n % 3 + 1}::{n % 5 + 1}::{978_300_000 + n}" for n in range(400)]
    (folder / "ratings.dat").write_text("\n".join(rows) + "\n")
    (folder / "users.dat").write_text("".join(f"{n}::F::{n}::10::48067\n" for n in range(1, 41)))
    films = (
        '1::Toy Story (1995)::Animation|Children\'s|Comedy\n2::Misérables, Les (1995)::Drama\n3::"Q" (2000)::Drama\n'
    )
    (folder / "movies.dat").write_bytes(films.encode("latin-1"))


def write_amazon(folder: Path) -> None:
    for place, category in enumerate(("Beauty", "Digital_Music")):
        rows = [
            {
                "reviewerID": f"A{n % 9}",
                "asin": f"B{n % 7}",
                "helpful": [0, 0],
                "reviewText": "ok",
                "overall": n % 5 + 1.0,
            }
            | {"unixReviewTime": 1_380_000_000 + 200_000 * n + place}
            for n in range(150)
        ]
        (folder / f"reviews_{category}_5.json").write_text("\n".join(map(json.dumps, rows)) + "\n")


def write_frappe(folder: Path) -> None:
    for name, rows in (("frappe.train.libfm", 90), ("frappe.validation.libfm", 30), ("frappe.test.libfm", 30)):
        lines = [
            f"{'1' if n % 3 == 0 else '-1'} " + " ".join(f"{100 * k + n % 4}:1" for k in range(10)) for n in range(rows)
        ]
        (folder / name).write_text("\n".join(lines) + "\n")


def write_openbandit(folder: Path) -> None:
    for policy in ("random", "bts"):
        for campaign in ("all", "men", "women"):
            place = folder / policy / campaign
            place.mkdir(parents=True)
            head = ",".join(["", *openbandit.LOG, *openbandit.USER])
            rows = [
                f"{n},2019-11-{24 + n % 7} 00:00:{n % 60:02d}.0041+00:00,{n % 4},{n % 3},{int(n % 9 == 0)},0.01,a,b,c,d"
                for n in range(84)
            ]
            (place / f"{campaign}.csv").write_text("\n".join([head, *rows]) + "\n")
            items = [f"{n},{n},-0.5,x,y,z" for n in range(4)]
            head = ",item_id,item_feature_0,item_feature_1,item_feature_2,item_feature_3"
            (place / "item_context.csv").write_text("\n".join([head, *items]) + "\n")


WRITERS = {
    "criteo": write_criteo, "avazu": write_avazu, "ali-ccp": write_aliccp, "taobao-ad": write_taobao,
    "kuairand": write_kuairand, "movielens": write_movielens, "amazon": write_amazon, "frappe": write_frappe,
    "open-bandit": write_openbandit,
}  # fmt: skip


def loaded(one: PublicSet, folder: Path, to: Path) -> tuple[pl.DataFrame, Impressions]:
    rows = one.convert(folder, to / "rows.parquet")
    settings = DataSettings.model_validate(one.data | {"path": to / "rows.parquet"})
    data = load(settings, to / "store")
    assert data.rows == rows
    return pl.read_parquet(to / "rows.parquet"), data


@pytest.fixture(params=SETS.values(), ids=lambda one: one.name)
def one(request) -> PublicSet:
    return request.param


@pytest.fixture
def published(one, tmp_path) -> Path:
    folder = tmp_path / "published"
    folder.mkdir()
    WRITERS[one.name](folder)
    return folder


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


def test_a_file_of_another_shape_is_refused(tmp_path):
    write_taobao(tmp_path)
    (tmp_path / "ad_feature.csv").write_text("adgroup_id,cate\n1,2\n")
    with pytest.raises(
        DataError, match=r"ad_feature\.csv: has no column cate_id, campaign_id, .* taobao-ad is published"
    ):
        SETS["taobao-ad"].convert(tmp_path, tmp_path / "x.parquet")


def test_a_line_that_was_cut_off_is_refused(one, published, tmp_path):
    """Its missing fields would be null, and such rows train; in whichever file it is."""
    if one.separator is None:
        pytest.skip("each line is whole by itself")
    files = [path for pattern in one.files for path in sorted(published.glob(pattern))]
    for path in files:
        whole, packed = path.read_bytes(), path.suffix == ".gz"
        lines = (gzip.decompress(whole) if packed else whole).splitlines()
        cut = b"\n".join([*lines, lines[-1].split(one.separator.encode())[0]]) + b"\n"
        path.write_bytes(gzip.compress(cut) if packed else cut)
        where = re.escape(f"{path}, line {len(lines) + 1}: has 1 fields, where the first line has")
        with pytest.raises(DataError, match=where):
            one.convert(published, tmp_path / "out.parquet")
        path.write_bytes(whole)
    one.convert(published, tmp_path / "out.parquet")


def test_films_of_movielens_are_one_line_each(tmp_path):
    """A film without a line has no genre; one with two would make two impressions of one."""
    write_movielens(tmp_path)
    films = tmp_path / "movies.dat"
    lines = films.read_bytes().splitlines()
    films.write_bytes(b"\n".join(lines[1:]) + b"\n")
    SETS["movielens"].convert(tmp_path, tmp_path / "out.parquet")
    assert "none" in pl.read_parquet(tmp_path / "out.parquet")["vertical"].to_list()
    films.write_bytes(b"\n".join([*lines, lines[0]]) + b"\n")
    with pytest.raises(DataError, match="m:1"):
        SETS["movielens"].convert(tmp_path, tmp_path / "out.parquet")


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
