"""Small files in the formats in which others publish their sets."""

import gzip
import json
from pathlib import Path

from distill.data.public import avazu, kuairand, openbandit, taobao


def write_criteo(folder: Path) -> None:
    row = "{}\t" + "\t".join(["5", "{}"] + ["7"] * 11) + "\t" + "\t".join(["68fd1e64", ""] + ["{:08x}"] * 24) + "\n"
    (folder / "train.txt").write_text("".join(row.format(n % 2, n if n % 5 else "", *[n % 3] * 24) for n in range(200)))


def write_avazu(folder: Path) -> None:
    rows = ["id,click,hour," + ",".join(avazu.COLUMNS[3:])]
    for n in range(200):
        hour = f"1410{21 + n // 20:02d}{n % 24:02d}"
        rows.append(
            f"{10**19 + n},{n % 2},{hour},"
            + ",".join([str(n % 2), "a1", "b2", f"{n % 3}905ebd", "c", "d", "07d7df22"] + ["x"] * 3 + ["1"] * 11)
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
