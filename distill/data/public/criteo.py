"""Criteo display advertising (Kaggle, 2014): a week of ads, 13 counts and 26 hashed categories without names."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from distill.data.public.lines import WHOLE, Lines
from distill.data.public.publicset import PublicSet

COUNTS = [f"I{number}" for number in range(1, 14)]
CATEGORIES = [f"C{number}" for number in range(1, 27)]
COLUMNS = ["label", *COUNTS, *CATEGORIES]


def _read(files: Mapping[str, list[Path]]) -> pl.LazyFrame:
    kinds = dict.fromkeys(CATEGORIES, pl.String) | dict.fromkeys(["label", *COUNTS], pl.Int64)
    rows = pl.scan_csv(
        files["train.txt"], separator="\t", has_header=False, new_columns=COLUMNS, schema_overrides=kinds
    )
    return rows.with_row_index("row_id").with_columns(vertical=pl.col("C14").fill_null("none"))


CRITEO = PublicSet(
    name="criteo",
    files={"train.txt": tuple(COLUMNS)},
    read=_read,
    lines=Lines("\t", header=False, forms=dict.fromkeys(["label", *COUNTS], WHOLE)),
    rows=45_840_617,
    licence="Criteo's terms of the challenge: research, not commercial.",
    citation="Criteo Labs, Display Advertising Challenge, Kaggle, 2014.",
    split="Criteo_x4 of BARS: 8:1:1 at random. The rows are in the order of time, so that by row_id is by time.",
    published="Test AUC / log loss on Criteo_x4, BARS: DNN 0.8140/0.4380, DeepFM 0.8143/0.4376, DCNv2 0.8145/0.4376.",
    data={
        "row_id": "row_id",
        "time": "row_id",
        "split": {"by": "hash", "column": "row_id", "valid": 0.1, "test": 0.1},
        "features": {
            name: {"kind": "numeric", "transform": ["log1p", "standardise"], "missing": "indicator"} for name in COUNTS
        }
        | {name: {"kind": "categorical", "min_count": 10} for name in CATEGORIES},
    },
)
