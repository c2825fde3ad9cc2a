"""MovieLens 1M (GroupLens, 2003): ratings of films; a like is a rating of 4 or 5."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from distill.data.public.lines import WHOLE, Lines, fields
from distill.data.public.publicset import PublicSet

LIKED = 4
"""The lowest rating that counts as a positive."""

SEPARATOR = "::"

FILES = {
    "ratings.dat": ("user_id", "movie_id", "rating", "time"),
    "users.dat": ("user_id", "gender", "age", "occupation", "zip"),
    "movies.dat": ("movie_id", "title", "genres"),  # in Latin-1
}


def _read(files: Mapping[str, list[Path]]) -> pl.LazyFrame:
    ratings, users, films = (fields(files[name], columns, SEPARATOR) for name, columns in FILES.items())
    return (
        ratings.join(users, on="user_id", how="left", maintain_order="left")
        .join(films, on="movie_id", how="left", maintain_order="left")
        .with_columns(
            pl.col("rating", "time", "user_id", "movie_id").cast(pl.Int64),
            pl.col("genres").str.split("|"),
            year=pl.col("title").str.extract(r"\((\d{4})\)\s*$").cast(pl.Int64),
        )
        .with_columns(
            label=(pl.col("rating") >= LIKED).cast(pl.Int8), vertical=pl.col("genres").list.first().fill_null("none")
        )
        .drop("title", "rating")
        .sort("time", maintain_order=True)
    )


MOVIELENS = PublicSet(
    name="movielens",
    files=FILES,
    read=_read,
    lines=Lines(
        SEPARATOR,
        header=False,
        forms=dict.fromkeys(("user_id", "movie_id", "rating", "time"), WHOLE),
        keys={"users.dat": "user_id", "movies.dat": "movie_id"},
    ),
    rows=1_000_209,
    licence="GroupLens: research, no redistribution without permission, not commercial without permission.",
    citation="MovieLens 1M: F. Harper, J. Konstan, The MovieLens Datasets: History and Context, ACM TiiS 2015.",
    split="Here 8:1:1 by a hash of the user; Scenario-Wise-Rec splits 8:1:1 at random, its domains are ages.",
    published="A like is 4 or 5 here; others cut elsewhere. Scenario-Wise-Rec (2412.17374) has AUC by age group.",
    data={
        "time": "time",
        "user": "user_id",
        "split": {"by": "hash", "column": "user_id", "valid": 0.1, "test": 0.1},
        "features": dict.fromkeys(["movie_id", "gender", "age", "occupation", "year"], "categorical")
        | {"genres": {"kind": "multi_valued", "length": 6}},
    },
)
