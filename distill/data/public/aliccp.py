"""Ali-CCP (Alibaba, 2018): clicks and conversions of Taobao's recommendations, two files that a user's index joins.

A field of features is `field, 2, id, 3, value` with control characters 2 and 3, and fields are joined by 1.
"""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from distill.data.public.lines import WHOLE, Lines
from distill.data.public.publicset import PublicSet

USER = ["101", "121", "122", "124", "125", "126", "127", "128", "129"]
ITEM = ["205", "206", "207", "210", "216"]
SETS = ["109_14", "110_14", "127_14", "150_14"]
SCENE = "301"
ROWS = ["row_id", "click", "conversion", "index", "number", "fields"]
COMMON = ["index", "number", "fields"]


def _read(files: Mapping[str, list[Path]]) -> pl.LazyFrame:
    return pl.concat(_part(files, split) for split in ("train", "test"))


def _part(files: Mapping[str, list[Path]], split: str) -> pl.LazyFrame:
    rows = _table(files[f"sample_skeleton_{split}.csv"], ROWS)
    common = _table(files[f"common_features_{split}.csv"], COMMON).select(
        "index", *map(_one, USER), *map(_several, SETS)
    )
    own = [_one(name) for name in [*ITEM, SCENE]]
    return (
        rows.select(pl.format("{}-{}", pl.lit(split), "row_id").alias("row_id"), "click", "conversion", "index", *own)
        .join(common, on="index", how="left", maintain_order="left")
        .with_columns(vertical=pl.format("scene_{}", pl.col(SCENE)), split=pl.lit(split))
        .rename({"index": "user"})
    )


def _table(paths: list[Path], names: list[str]) -> pl.LazyFrame:
    kinds = dict.fromkeys(("row_id", "index", "fields"), pl.String)
    held = {name: kind for name, kind in kinds.items() if name in names}
    return pl.scan_csv(paths, has_header=False, new_columns=names, schema_overrides=held)


def _several(name: str) -> pl.Expr:
    """The ids of a field."""
    return pl.col("fields").str.extract_all(f"(?:^|\x01){name}\x02[^\x03]+").list.eval(_id()).alias(name)


def _one(name: str) -> pl.Expr:
    """The id of a field that has one; null where it has none."""
    return pl.col("fields").str.extract(f"(?:^|\x01){name}\x02([^\x03]+)").alias(name)


def _id() -> pl.Expr:
    return pl.element().str.extract("\x02(.+)$")


ALI_CCP = PublicSet(
    name="ali-ccp",
    files={
        f"{part}_{split}.csv": tuple(columns)
        for part, columns in (("sample_skeleton", ROWS), ("common_features", COMMON))
        for split in ("train", "test")
    },
    read=_read,
    lines=Lines(header=False, forms=dict.fromkeys(["click", "conversion", "number"], WHOLE)),
    rows=85_316_519,
    licence="Alibaba Tianchi, CC BY-NC 4.0 as stated there: not commercial.",
    citation="X. Ma et al., Entire Space Multi-Task Model, SIGIR 2018.",
    split="The files' own train and test; the last of train validates (here by a hash of the user).",
    published="Scenario-Wise-Rec trains twelve multi-domain models on its three scenes; see arXiv 2412.17374.",
    data={
        "label": {"click": "click", "conversion": "conversion"},
        "row_id": "row_id",
        "user": "user",
        "split": {"by": "column", "column": "split"},
        "features": {name: {"kind": "categorical", "min_count": 10} for name in (*USER, *ITEM)}
        | {name: {"kind": "multi_valued", "length": 50} for name in SETS},
    },
)
