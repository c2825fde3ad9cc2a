"""Inputs: what a student sees where a teacher's vector is one of its features."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from distill.data.impressions import Impressions, View
from distill.data.slicing import seconds_a_unit
from distill.fingerprint import derived_seed, fingerprint
from distill.knowledge import Knowledge
from distill.recipe.moves import InputChannel
from distill.types import Batch, FeatureSchema

NAME = "teacher/representation"
"""Name of the teacher's vector among the features of a student."""


class Inputs(View):
    """A view with one more vector in each row: what the teacher says of the user.

    Coordinates have mean 0 and spread 1 over the rows that were scored. A row that was not has a vector of zeros, as
    has one that fills up a batch: the mean, which is also what a student gets while a cache misses its user.

    Args:
        view: the features that students see without a teacher.
        vectors: the teacher's table, with the moments of its coordinates.
        cache: for each row of the data the row whose vector it has, -1 for a miss; each its own where None.
    """

    def __init__(self, view: View, vectors: Knowledge, cache: Int[np.ndarray, " rows"] | None = None) -> None:
        self.__dict__ |= view.__dict__
        self.view, self.vectors = view, vectors
        self.cache = None if cache is None else torch.from_numpy(cache)
        self.fingerprint = fingerprint(view.fingerprint, vectors.manifest.fingerprint)
        self._mean, self._spread = (torch.tensor(vectors.facts[name]) for name in ("mean", "spread"))

    def schema(self, vertical: str | None) -> FeatureSchema:
        """What a ranker sees."""
        schema = self.view.schema(vertical)
        return replace(schema, vectors={**(schema.vectors or {}), NAME: self.vectors.manifest.width})

    def take(self, rows: Int[Tensor, "*members rows"]) -> Batch:
        """Gathers the impressions with these row numbers, and the vectors beside them."""
        batch = self.view.take(rows)
        said, covered = self.vectors.take(rows if self.cache is None else self.cache[rows].where(rows >= 0, rows))
        vector = ((said.representation - self._mean) / self._spread) * covered.unsqueeze(-1)
        return batch._replace(features=batch.features._replace(vectors={**batch.features.vectors, NAME: vector}))

    @property
    def moments(self) -> dict[str, list[float]]:
        """Mean and spread of each coordinate, as tables of vectors state them."""
        return {name: self.vectors.facts[name] for name in ("mean", "spread")}


def cached(impressions: Impressions, channel: InputChannel) -> Int[np.ndarray, " rows"] | None:
    """The row whose vector each row of the data finds in a cache as the recipe describes it, -1 for a miss.

    None where the cache is perfect: every row finds its own.
    """
    if not (channel.misses or channel.age):
        return None
    found = np.arange(impressions.rows)
    if channel.age:
        found = _earlier(impressions, channel.age * 3600)
    if channel.misses:
        who = np.arange(impressions.rows) if impressions.user is None else np.asarray(impressions.user)
        draws = np.random.default_rng(derived_seed(0, "cache")).random(int(who.max(initial=0)) + 1)
        found[draws[who] < channel.misses] = -1
    return found


def _earlier(impressions: Impressions, seconds: float) -> Int[np.ndarray, " rows"]:
    """The last row of the same user and vertical that is so much earlier, -1 where there is none."""
    time = np.asarray(impressions.time, dtype=np.float64) * seconds_a_unit(impressions)
    who = np.asarray(impressions.user, dtype=np.int64) * len(impressions.verticals) + np.asarray(impressions.vertical)
    # One number that sorts by user and vertical, then by time: places of times among all that are had or asked for.
    _, place = np.unique(np.concatenate([time, time - seconds]), return_inverse=True)
    _, owner = np.unique(who, return_inverse=True)
    had, asked = (owner * len(place) + half for half in np.split(place, 2))
    order = np.argsort(had, kind="stable")
    found = np.searchsorted(had[order], asked, side="right") - 1
    earlier = order[found.clip(0)]
    return np.where((found >= 0) & (owner[earlier] == owner), earlier, -1)
