"""Inputs: what a student sees where vectors of its teacher are among its features."""

import copy
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from distill.data.impressions import Impressions, View
from distill.data.slicing import seconds_a_unit
from distill.data.timeline import Timeline
from distill.fingerprint import derived_seed, fingerprint
from distill.knowledge import Knowledge
from distill.recipe.moves import Distill, InputChannel
from distill.types import Batch, FeatureSchema

NAME = "teacher/representation"
"""Name of the teacher's vector among the features of a student."""

HISTORY = "teacher/history"
"""Name of what the teacher's vectors of the user's earlier impressions say."""


CHUNK = 1_000_000
"""Rows whose vectors are in memory at once."""

LEAST = 1e-6
"""Spread up to which a coordinate does not move; it is not divided by, lest it explode where later rows move it."""


class Inputs(View):
    """A view with one more vector in each row: what the teacher says of the user, or has said earlier.

    Coordinates have mean 0 and spread 1 over the rows that were scored. A row that was not has a vector of zeros, as
    has one that fills up a batch: the mean, which is also what a student gets while a cache misses its user.

    Args:
        view: the features that students see without a teacher.
        vectors: the teacher's table, with the moments of its coordinates.
        cache: for each row of the data the row whose vector it has, -1 for a miss; each its own where None.
        feature: name of the vector.
    """

    def __init__(
        self, view: View, vectors: Knowledge, cache: Int[np.ndarray, " rows"] | None = None, feature: str = NAME
    ) -> None:
        self.__dict__ |= view.__dict__
        self.view, self.vectors, self.feature = view, vectors, feature
        self.cache = None if cache is None else torch.from_numpy(cache)
        self.fingerprint = fingerprint(view.fingerprint, vectors.manifest.fingerprint)
        self._mean, self._spread = (torch.tensor(vectors.facts[name]) for name in ("mean", "spread"))

    @property
    def size(self) -> int:
        """Bytes of all that rows are gathered from."""
        return self.view.size + self.vectors.size

    def on(self, device: torch.device) -> "Inputs":
        """The same, gathered from a copy on a device, whose batches lie there."""
        there = copy.copy(self)
        there.view, there.vectors = self.view.on(device), self.vectors.on(device)
        there._mean, there._spread = self._mean.to(device), self._spread.to(device)
        return there

    def schema(self, vertical: str | None) -> FeatureSchema:
        """What a ranker sees."""
        schema = self.view.schema(vertical)
        return replace(schema, vectors={**(schema.vectors or {}), self.feature: self.vectors.manifest.width})

    def take(self, rows: Int[Tensor, "*members rows"]) -> Batch:
        """Gathers the impressions with these row numbers, and the vectors beside them."""
        batch = self.view.take(rows)
        said, covered = self.vectors.take(rows if self.cache is None else self.cache[rows].where(rows >= 0, rows))
        vector = self.standardised(said.representation, covered)
        return batch._replace(features=batch.features._replace(vectors=batch.features.vectors | {self.feature: vector}))

    def standardised(
        self, vectors: Float[Tensor, "*members rows width"], there: Bool[Tensor, "*members rows"]
    ) -> Float[Tensor, "*members rows width"]:
        """Vectors of the teacher as students see them: mean 0 and spread 1, and zeros where there is none."""
        return ((vectors - self._mean) / self._spread) * there.unsqueeze(-1)

    @property
    def moments(self) -> dict[str, list[float]]:
        """Mean and spread of each coordinate, as tables of vectors state them."""
        return {name: self.vectors.facts[name] for name in ("mean", "spread")}


def layers(view: View) -> dict[str, Inputs]:
    """Name of each vector of the teacher in a view -> the view that adds it; empty where there is none."""
    return layers(view.view) | {view.feature: view} if isinstance(view, Inputs) else {}


def named(distill: Distill) -> str:
    """The names of the vectors that students see by their channels."""
    return "+".join(name for name, channel in {NAME: distill.input, HISTORY: distill.history}.items() if channel)


def moments(table: Knowledge, rows: Int[np.ndarray, " rows"]) -> dict[str, list[float]]:
    """Mean and spread of each coordinate over some rows; 1 is the spread of one that does not move."""
    split, count = torch.from_numpy(rows).split(CHUNK), max(len(rows), 1)
    parts = lambda: (table.take(some).prediction.representation.double() for some in split)  # noqa: E731
    none = torch.zeros(table.manifest.width, dtype=torch.float64)
    mean = sum((part.sum(0) for part in parts()), none) / count
    spread = (sum(((part - mean).square().sum(0) for part in parts()), none) / count).sqrt()
    return {"mean": mean.tolist(), "spread": spread.where(spread > LEAST, 1).tolist()}


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
    line = Timeline(who, time)
    place = line.upto(who, time - seconds) - 1
    earlier = line.order[place.clip(0)]
    return np.where((place >= 0) & (who[earlier] == who), earlier, -1)
