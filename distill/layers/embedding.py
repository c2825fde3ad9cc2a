"""FieldEmbedding: impressions in, vectors out."""

from itertools import accumulate
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from distill.layers.lookup import lookup
from distill.types import PAD, Features, FeatureSchema, SequenceField

INITIAL_SPREAD = 0.05
"""Standard deviation of fresh embeddings: small, so that ids never seen in training say next to nothing."""


class Embedded(NamedTuple):
    """The features of some impressions as vectors.

    Attributes:
        fields: one vector for each categorical feature.
        steps: name of a sequence -> one vector for each step, its columns side by side.
        present: name of a sequence -> which steps there are.
        numbers: numeric columns, then fixed vectors, as they came.
    """

    fields: Float[Tensor, "rows fields width"]
    steps: dict[str, Float[Tensor, "rows steps columns_width"]]
    present: dict[str, Bool[Tensor, "rows steps"]]
    numbers: Float[Tensor, "rows numbers"]


class FieldEmbedding(nn.Module):
    """Looks up every id of an impression in one tall table, in which the tables of the schema lie end to end.

    Called, it gives one flat vector a row: categorical features, pooled sequences, numbers. A ranker that reads
    histories itself asks for `embed` instead.

    Args:
        schema: what the ranker sees.
        width: numbers of one embedding.
    """

    offset: Int[Tensor, " columns"]
    """First row, in the tall table, of the table that each column of ids reads."""

    def __init__(self, schema: FeatureSchema, width: int) -> None:
        super().__init__()
        self.sequences = schema.sequences
        self.vectors = tuple(schema.vectors or ())
        columns = [*schema.categorical, *(table for field in schema.sequences for table in field.tables)]
        self.width = width * len(columns) + len(schema.numeric) + sum((schema.vectors or {}).values())
        start = dict(zip(schema.tables, accumulate(schema.tables.values(), initial=0), strict=False))
        self.register_buffer("offset", torch.tensor([start[name] for name in columns]).long())
        self.weight = nn.Parameter(torch.randn(sum(schema.tables.values()), width) * INITIAL_SPREAD)

    def embed(self, features: Features) -> Embedded:
        """Every feature as vectors, steps of a history one by one."""
        raw = [features.categorical, *(features.sequences[field.name] for field in self.sequences)]
        offsets = self.offset.split([ids.shape[-1] for ids in raw])
        # PAD reads whichever row comes to lie there; `present` keeps it out of everything.
        rows = [(ids + first).clamp(min=0) for ids, first in zip(raw, offsets, strict=True)]
        fields, *steps = lookup(self.weight, *rows)
        names = [field.name for field in self.sequences]
        numbers = [features.numeric, *(features.vectors[name] for name in self.vectors)]
        return Embedded(
            fields=fields,
            steps={name: step.flatten(-2) for name, step in zip(names, steps, strict=True)},
            present={name: ids[..., 0] != PAD for name, ids in zip(names, raw[1:], strict=True)},
            numbers=torch.cat(numbers, -1).to(self.weight.dtype),
        )

    def flat(self, embedded: Embedded) -> Float[Tensor, "rows {self.width}"]:
        """One vector a row; sequences are pooled, and an empty one is zero."""
        pooled = [pool(field, embedded.steps[field.name], embedded.present[field.name]) for field in self.sequences]
        return torch.cat([embedded.fields.flatten(-2), *pooled, embedded.numbers], -1)

    def forward(self, features: Features) -> Float[Tensor, "rows {self.width}"]:
        return self.flat(self.embed(features))


def pool(
    field: SequenceField, steps: Float[Tensor, "rows steps width"], present: Bool[Tensor, "rows steps"]
) -> Float[Tensor, "rows width"]:
    """The mean (histories, and sets by default) or the sum of the steps that there are; zero where there are none."""
    share = present.to(steps.dtype)
    if field.ordered or field.pool == "mean":
        share = share / share.sum(-1, keepdim=True).clamp(min=1)
    return (steps * share.unsqueeze(-1)).sum(-2)
