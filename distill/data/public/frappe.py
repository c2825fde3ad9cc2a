"""Frappe (2015): which app is used in which situation, in the format of libFM, with sampled negatives."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from distill.data.public.lines import NUMBER, Form, Lines
from distill.data.public.publicset import PublicSet
from distill.errors import DataError, Fault

FIELDS = ["user", "item", "daytime", "weekday", "isweekend", "homework", "cost", "weather", "country", "city"]
SPLITS = {"train": "train", "validation": "valid", "valid": "valid", "test": "test"}
"""Part of a file's name -> split."""

ID = Form("ids as 12:1", r"^\d+:")


def _read(files: Mapping[str, list[Path]]) -> pl.LazyFrame:
    return pl.concat(map(_part, files["*.lib*"]))


def _part(path: Path) -> pl.LazyFrame:
    split = next((split for word, split in SPLITS.items() if word in path.name), None)
    if split is None:
        raise DataError(
            Fault(str(path), f"is named after no split: {', '.join(SPLITS)}.", "Rename it, or move it away.")
        )
    ids = [pl.col(name).str.extract(r"^(\d+):").cast(pl.Int64) for name in FIELDS]
    rows = pl.scan_csv(path, separator=" ", has_header=False, new_columns=["label", *FIELDS], infer_schema=False)
    label = (pl.col("label").cast(pl.Float64) > 0).cast(pl.Int8)
    vertical = pl.format("daytime_{}", pl.col("daytime").str.extract(r"^(\d+):"))
    whole = pl.lit("frappe").alias("whole")  # For a student of all rows, as others train.
    return rows.select(label, *ids, vertical.alias("vertical"), whole, pl.lit(split).alias("split"))


FRAPPE = PublicSet(
    name="frappe",
    files={"*.lib*": ("label", *FIELDS)},
    read=_read,
    lines=Lines(" ", header=False, forms={"label": NUMBER} | dict.fromkeys(FIELDS, ID)),
    rows=288_609,
    licence="Research, no redistribution without permission.",
    citation="L. Baltrunas et al., Frappe: Understanding the Usage and Perception of Mobile App Recommendations, 2015.",
    split="Frappe_x1 of BARS, 7:2:1, the files' own: 202,027, 57,722 and 28,860 rows.",
    published="Test AUC on Frappe_x1, BARS, mean of five: DNN 0.98405, DeepFM 0.98395, DCNv2 0.98382.",
    data={
        "user": "user",
        "split": {"by": "column", "column": "split"},
        "features": dict.fromkeys(FIELDS, "categorical"),
    },
)
