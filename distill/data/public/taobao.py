"""TaobaoAd (Alimama, 2017): eight days of display ads with profiles of users and ads."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from distill.data.public.lines import NUMBER, WHOLE, Form, Lines
from distill.data.public.publicset import PublicSet

AD = ["cate_id", "campaign_id", "customer", "brand"]
PROFILE = ["cms_segid", "cms_group_id", "final_gender_code", "age_level", "pvalue_level", "shopping_level"]
PROFILE += ["occupation", "new_user_class_level"]

WHOLE_OR_NULL = Form("whole numbers or NULL", rf"{WHOLE.pattern}|^NULL$")


def _read(files: Mapping[str, list[Path]]) -> pl.LazyFrame:
    ads = pl.scan_csv(files["ad_feature.csv"], null_values="NULL")
    users = pl.scan_csv(files["user_profile.csv"]).rename(str.strip)  # One name is published with a blank behind it.
    return (
        pl.scan_csv(files["raw_sample.csv"])
        .with_row_index("row_id")
        .join(ads, on="adgroup_id", how="left", maintain_order="left")
        .join(users, left_on="user", right_on="userid", how="left", maintain_order="left")
        .with_columns(label=pl.col("clk"), vertical=pl.col("cate_id").cast(pl.String).fill_null("none"))
        .drop("clk", "nonclk")
        .rename({"time_stamp": "time"})
    )


TAOBAO = PublicSet(
    name="taobao-ad",
    files={
        "raw_sample.csv": ("user", "time_stamp", "adgroup_id", "pid", "nonclk", "clk"),
        "ad_feature.csv": ("adgroup_id", *AD, "price"),
        "user_profile.csv": ("userid", *PROFILE),
    },
    read=_read,
    lines=Lines(
        forms=dict.fromkeys(("user", "time_stamp", "adgroup_id", "nonclk", "clk", "userid", *PROFILE), WHOLE)
        | dict.fromkeys(AD, WHOLE_OR_NULL)
        | {"price": NUMBER}
    ),
    rows=26_557_961,
    licence="Alibaba Tianchi, CC BY-NC-SA 4.0 as stated there: not commercial.",
    citation="Alimama, Ali_Display_Ad_Click, Tianchi, 2018; K. Gai et al., arXiv 1704.05194.",
    split="Seven days train, 13 May 2017 tests.",
    published="Test gAUC/AUC, TaobaoAd_x1 of BARS (stopped on the test file): DNN 0.5733/0.6467, DIN 0.5765/0.6524.",
    data={
        "row_id": "row_id",
        "time": "time",
        "user": "user",
        "split": {"by": "time", "valid": 1_494_518_400, "test": 1_494_604_800},
        "features": dict.fromkeys(["adgroup_id", "pid", *AD, *PROFILE], "categorical")
        | {"price": {"kind": "numeric", "transform": ["log1p", "standardise"], "missing": "mean"}},
    },
)
