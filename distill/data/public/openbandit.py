"""Open Bandit (ZOZO, 2020): fashion items on three campaigns, by a random and a learning policy, with propensities.

The package `obp` brings a small part of it.
"""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from distill.data.public.lines import NUMBER, WHOLE, Form, Lines
from distill.data.public.publicset import PublicSet

LOG = ("timestamp", "item_id", "position", "click", "propensity_score")
USER = [f"user_feature_{number}" for number in range(4)]
ITEM = [f"item_feature_{number}" for number in range(4)]
PATTERN = "*/*/[amw]*[nl].csv"
"""The log of a policy and campaign: all, men or women."""

TIME = Form("times as 2019-11-24 00:00:17+00:00", r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?([-+]\d\d:\d\d)?$")


def _read(files: Mapping[str, list[Path]]) -> pl.LazyFrame:
    return pl.concat(map(_log, files[PATTERN])).sort("time", maintain_order=True)


def _log(path: Path) -> pl.LazyFrame:
    campaign, policy = path.parent.name, path.parent.parent.name
    items = pl.scan_csv(path.with_name("item_context.csv")).select("item_id", *ITEM)
    return (
        pl.scan_csv(path)
        .select(pl.col("timestamp").str.to_datetime(time_zone="UTC").alias("time"), *LOG[1:], *USER)
        .join(items, on="item_id", how="left", maintain_order="left")
        .with_columns(label=pl.col("click"), vertical=pl.lit(campaign), policy=pl.lit(policy))
        .with_columns(pl.format("{}-{}", "vertical", "item_id").alias("item_id"))
        .drop("click")
    )


OPEN_BANDIT = PublicSet(
    name="open-bandit",
    files={PATTERN: (*LOG, *USER), "*/*/item_context.csv": ("item_id", *ITEM)},
    read=_read,
    lines=Lines(
        forms=dict.fromkeys(("item_id", "position", "click"), WHOLE)
        | {"timestamp": TIME, "propensity_score": NUMBER, "item_feature_0": NUMBER}
    ),
    rows=None,
    licence="ZOZO, CC BY 4.0 as stated there.",
    citation="Y. Saito et al., Open Bandit Dataset and Pipeline, NeurIPS 2021 Datasets and Benchmarks.",
    split="By time: 24 to 30 November 2019; here the last day tests.",
    published="Made for the evaluation of policies; no click model is published. About 4 clicks in 1,000.",
    data={
        "time": "time",
        "split": {"by": "time", "valid": "2019-11-29T00:00+00:00", "test": "2019-11-30T00:00+00:00"},
        "features": dict.fromkeys(["item_id", "position", *USER, *ITEM[1:]], "categorical")
        | {"item_feature_0": {"kind": "numeric", "missing": "mean"}},
    },
)
