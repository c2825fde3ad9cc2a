"""Graph: a student as what is served: plain tensors in, log-odds and probability out."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from distill.ranker import Ranker
from distill.types import Features, FeatureSchema


class Inputs(NamedTuple):
    """Features without names: what programs outside this package take, in the order of the schema."""

    categorical: Tensor
    numeric: Tensor
    sequences: tuple[Tensor, ...]
    vectors: tuple[Tensor, ...]


class Said(NamedTuple):
    """What a student says of some rows.

    Attributes:
        logit: natural log-odds, [rows, tasks].
        probability: the same as probabilities.
    """

    logit: Tensor
    probability: Tensor


class Graph(nn.Module):
    """A ranker of one vertical with what is added to its log-odds.

    Args:
        ranker: whom to serve, in evaluation mode.
        schema: what it sees.
        correction: added to its log-odds.
    """

    def __init__(self, ranker: Ranker, schema: FeatureSchema, correction: float) -> None:
        super().__init__()
        self.ranker, self.correction = ranker, correction
        self.sequences = tuple(field.name for field in schema.sequences)
        self.vectors = tuple(schema.vectors or ())
        self.requires_grad_(False).eval()

    def forward(
        self, categorical: Tensor, numeric: Tensor, sequences: Sequence[Tensor], vectors: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Log-odds and probabilities of `rows` impressions."""
        logit = self.ranker(self.features(categorical, numeric, sequences, vectors)).logit + self.correction
        return logit, logit.sigmoid()

    def features(
        self, categorical: Tensor, numeric: Tensor, sequences: Sequence[Tensor], vectors: Sequence[Tensor]
    ) -> Features:
        """Inputs as features, by name."""
        return Features(
            vertical=numeric.new_zeros(numeric.shape[0], dtype=torch.int64),
            categorical=categorical,
            numeric=numeric,
            sequences=dict(zip(self.sequences, sequences, strict=True)),
            vectors=dict(zip(self.vectors, vectors, strict=True)),
        )

    def inputs(self, features: Features) -> Inputs:
        """Features as this takes them."""
        return Inputs(
            features.categorical,
            features.numeric,
            tuple(features.sequences[name] for name in self.sequences),
            tuple(features.vectors[name] for name in self.vectors),
        )
