"""Columns: what a teacher sees of its rows as a table of numbers, for learners that have no embeddings."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from distill.data.impressions import TRAIN
from distill.fingerprint import derived_seed
from distill.lesson import Lesson
from distill.types import PAD, Features

FEW = 254
"""Values of a feature that trees can take as categories; of a longer list its history of clicks is taken."""
PRIOR = 10.0
"""Rows at the base rate that stand before the first of each value."""
CHUNK = 1 << 16
"""Rows that are gathered at once."""


class Columns(NamedTuple):
    """A table of numbers.

    Attributes:
        values: of each row asked for.
        categories: which columns hold categories and no amounts.
    """

    values: Float[np.ndarray, "rows columns"]
    categories: Bool[np.ndarray, " columns"]


def columns(lesson: Lesson, rows: Int[np.ndarray, " rows"], task: int) -> Columns:
    """Everything that a teacher sees: the vertical, ids, numbers, vectors, and how long each history is.

    A feature of many values becomes two numbers: how many training rows before this one had the same value, and which
    share of them was clicked, with `PRIOR` rows at the base rate. So no row knows its own label or a later one, and a
    new value looks in training as it does on test rows: Prokhorenkova et al., CatBoost: Unbiased Boosting with
    Categorical Features, 2018, in the order of time, or in a random order where there is no time.

    Args:
        lesson: says what the teacher sees and learns from.
        rows: the rows wanted.
        task: whose clicks are counted.
    """
    schema = lesson.view.schema(None)
    short = [name for name in schema.categorical if schema.tables[name] <= FEW]
    places = [schema.categorical.index(name) for name in short]
    plain = np.concatenate(
        [_plain(lesson.view.take(torch.from_numpy(part)).features, places) for part in _chunks(rows)]
    )
    categories = np.arange(plain.shape[1]) < 1 + len(places)
    if schema.verticals > FEW:
        categories[0] = False
    counted = [
        _clicks_before(lesson, rows, task, schema.categorical.index(name))
        for name in schema.categorical
        if name not in short
    ]
    values = np.concatenate([plain, *counted], axis=1)
    return Columns(values, np.append(categories, np.zeros(values.shape[1] - plain.shape[1], dtype=bool)))


def _chunks(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return np.array_split(rows, max(1, -(-len(rows) // CHUNK)))


def _plain(features: Features, places: list[int]) -> Float[np.ndarray, "rows columns"]:
    """Categories first, the vertical before all."""
    lengths = [(ids[..., 0] != PAD).sum(-1, keepdim=True) for ids in features.sequences.values()]
    found = [features.vertical[:, None], features.categorical[:, places], features.numeric, *lengths]
    return torch.cat([part.double() for part in (*found, *features.vectors.values())], -1).numpy()


def _clicks_before(lesson: Lesson, rows: NDArray[np.int64], task: int, place: int) -> Float[np.ndarray, "rows columns"]:
    """Of each row's value: the logarithm of its earlier training rows, and their share of clicks."""
    impressions, train = lesson.impressions, lesson.learnt_rows
    ids = np.concatenate(
        [lesson.view.take(torch.from_numpy(part)).features.categorical[:, place].numpy() for part in _chunks(train)]
    )
    asked = np.concatenate(
        [lesson.view.take(torch.from_numpy(part)).features.categorical[:, place].numpy() for part in _chunks(rows)]
    )
    label = impressions.label[train, task] * impressions.valid[train, task]
    when = _when(lesson, np.concatenate([train, rows]))
    seen, clicked = counts_before(ids, when[: len(train)], label, asked, when[len(train) :])
    rate = label.sum() / max(impressions.valid[train, task].sum(), 1)
    return np.stack([np.log1p(seen), (clicked + PRIOR * rate) / (seen + PRIOR)], axis=1)


def _when(lesson: Lesson, rows: NDArray[np.int64]) -> Float[np.ndarray, " rows"]:
    """Times; where there are none, training rows in a random order and all others after them."""
    impressions = lesson.impressions
    if impressions.time is not None:
        return np.asarray(impressions.time[rows], dtype=np.float64)
    order = np.random.default_rng(derived_seed(lesson.seed, "columns")).permutation(impressions.rows)
    return np.where(impressions.split[rows] == TRAIN, order[rows], impressions.rows).astype(np.float64)


def counts_before(
    ids: Int[np.ndarray, " rows"],
    time: Float[np.ndarray, " rows"],
    label: Float[np.ndarray, " rows"],
    asked: Int[np.ndarray, " asked"],
    asked_time: Float[np.ndarray, " asked"],
) -> tuple[Float[np.ndarray, " asked"], Float[np.ndarray, " asked"]]:
    """How many rows of the same id were strictly earlier, and how many clicks they had.

    >>> ids, time, label = np.array([7, 7, 8, 7]), np.array([1.0, 2.0, 2.0, 2.0]), np.array([1.0, 0.0, 1.0, 1.0])
    >>> counts_before(ids, time, label, np.array([7, 7, 9]), np.array([2.0, 3.0, 3.0]))
    (array([1., 3., 0.]), array([1., 2., 0.]))
    """
    order = np.lexsort((time, ids))
    known = np.stack([ids[order].astype(np.float64), time[order]], axis=1)
    total = np.append(0.0, np.cumsum(label[order]))
    keys = np.ascontiguousarray(known).view([("id", "f8"), ("time", "f8")])[:, 0]
    wanted = np.empty(len(asked), dtype=keys.dtype)
    wanted["id"], wanted["time"] = asked, asked_time
    end = np.searchsorted(keys, wanted, side="left")
    start = np.searchsorted(known[:, 0], asked.astype(np.float64), side="left")
    return (end - start).astype(np.float64), total[end] - total[start]
