"""Avazu (Kaggle, 2014): ten days of mobile ads, categories only."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from distill.data.public.lines import WHOLE, Form, Lines
from distill.data.public.publicset import PublicSet

PLACES = ["banner_pos", "site_id", "site_domain", "site_category", "app_id", "app_domain", "app_category"]
DEVICES = ["device_id", "device_ip", "device_model", "device_type", "device_conn_type"]
OTHERS = ["C1", *(f"C{number}" for number in range(14, 22))]
HOUR = Form("hours as YYMMDDHH", r"^\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])([01]\d|2[0-3])$")
WHOLES = ["click", "banner_pos", "device_type", "device_conn_type", *OTHERS]
COLUMNS = ("id", "click", "hour", *PLACES, *DEVICES, *OTHERS)


def _read(files: Mapping[str, list[Path]]) -> pl.LazyFrame:
    rows = pl.scan_csv(files["train*"], schema_overrides={"id": pl.String, "hour": pl.String})
    moment = (pl.col("hour") + "00").str.to_datetime("%y%m%d%H%M")
    return rows.select(
        pl.col("id").alias("row_id"),
        pl.col("click").alias("label"),
        pl.col("site_category").alias("vertical"),
        moment.alias("time"),
        moment.dt.hour().alias("hour"),
        moment.dt.weekday().alias("weekday"),
        *PLACES,
        *DEVICES,
        *OTHERS,
    )


AVAZU = PublicSet(
    name="avazu",
    files={"train*": COLUMNS},
    read=_read,
    lines=Lines(forms=dict.fromkeys(WHOLES, WHOLE) | {"hour": HOUR}),
    rows=40_428_967,
    licence="Avazu's terms of the competition on Kaggle: research.",
    citation="S. Wang, W. Cukierski, Click-Through Rate Prediction, Kaggle, 2014.",
    split="Avazu_x4 of BARS: 8:1:1 at random. By time: 30 October is the last day.",
    published="Test AUC / log loss on Avazu_x4, BARS: DNN 0.7928/0.3722, DeepFM 0.7930/0.3719, FiBiNET 0.7953.",
    data={
        "row_id": "row_id",
        "time": "time",
        "split": {"by": "time", "valid": "2014-10-29", "test": "2014-10-30"},
        "features": {
            name: {"kind": "categorical", "min_count": 2} for name in (*PLACES, *DEVICES, *OTHERS, "hour", "weekday")
        },
    },
)
