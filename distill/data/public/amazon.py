"""Amazon reviews, 5-core (2014): ratings of products, a file a category; a like is a rating of 4 or 5."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from distill.data.public.lines import NUMBER, WHOLE, Form, Lines
from distill.data.public.publicset import PublicSet

LIKED = 4
"""The lowest rating that counts as a positive."""

NAME = Form("names", ".")
FORMS = {"reviewerID": NAME, "asin": NAME, "overall": NUMBER, "unixReviewTime": WHOLE}


def _read(files: Mapping[str, list[Path]]) -> pl.LazyFrame:
    return pl.concat(map(_category, files["reviews_*_5.json*"]))


def _category(path: Path) -> pl.LazyFrame:
    category = path.name.removeprefix("reviews_").partition("_5.json")[0]
    kinds = {"reviewerID": pl.String, "asin": pl.String, "overall": pl.Float64, "unixReviewTime": pl.Int64}
    return pl.scan_ndjson(path, schema=kinds).select(
        user_id="reviewerID",
        item_id="asin",
        time="unixReviewTime",
        label=(pl.col("overall") >= LIKED).cast(pl.Int8),
        vertical=pl.lit(category),
    )


AMAZON = PublicSet(
    name="amazon",
    files={"reviews_*_5.json*": tuple(FORMS)},
    read=_read,
    lines=Lines(None, header=False, forms=FORMS),
    rows=None,
    licence="No licence is stated; published for research.",
    citation="J. McAuley et al., Image-based Recommendations on Styles and Substitutes, SIGIR 2015.",
    split="By time. MAMDR makes 6 and 13 domains of categories, with other negatives.",
    published="Next-item protocols differ from ours: AmazonElectronics_x1 of BARS, DIN 0.8835 gAUC, is not comparable.",
    data={
        "time": "time",
        "user": "user_id",
        "split": {"by": "time", "valid": 1_388_534_400, "test": 1_396_310_400},
        "features": {
            "item_id": {"kind": "categorical", "min_count": 2},
            "user_id": {"kind": "categorical", "min_count": 2},
        },
    },
)
