"""Inputs: what a student sees where a teacher's vector is one of its features."""

from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from distill.data.impressions import View
from distill.fingerprint import fingerprint
from distill.knowledge import Knowledge
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
    """

    def __init__(self, view: View, vectors: Knowledge) -> None:
        self.__dict__ |= view.__dict__
        self.view, self.vectors = view, vectors
        self.fingerprint = fingerprint(view.fingerprint, vectors.manifest.fingerprint)
        self._mean, self._spread = (torch.tensor(vectors.facts[name]) for name in ("mean", "spread"))

    def schema(self, vertical: str | None) -> FeatureSchema:
        """What a ranker sees."""
        schema = self.view.schema(vertical)
        return replace(schema, vectors={**(schema.vectors or {}), NAME: self.vectors.manifest.width})

    def take(self, rows: Int[Tensor, "*members rows"]) -> Batch:
        """Gathers the impressions with these row numbers, and the vectors beside them."""
        batch = self.view.take(rows)
        said, covered = self.vectors.take(rows)
        vector = ((said.representation - self._mean) / self._spread) * covered.unsqueeze(-1)
        return batch._replace(features=batch.features._replace(vectors={**batch.features.vectors, NAME: vector}))

    @property
    def moments(self) -> dict[str, list[float]]:
        """Mean and spread of each coordinate, as tables of vectors state them."""
        return {name: self.vectors.facts[name] for name in ("mean", "spread")}
