"""FieldEmbedding: impressions in, vectors out."""

from collections.abc import Sequence
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

    fields: Float[Tensor, "*members rows fields width"]
    steps: dict[str, Float[Tensor, "*members rows steps columns_width"]]
    present: dict[str, Bool[Tensor, "*members rows steps"]]
    numbers: Float[Tensor, "*members rows numbers"]


class FieldEmbedding(nn.Module):
    """Looks up every id of an impression in one tall table, in which the tables of the schema lie end to end.

    Called, it gives one flat vector a row: categorical features, pooled sequences, numbers. A ranker that can take them
    apart asks for `vectors`, which saves the copy that joins them; one that reads histories itself, for `embed`.

    Args:
        schema: what the ranker sees.
        width: numbers of one embedding.

    Attributes:
        fields: number of the vectors of a row: categorical features, then each column of each sequence.
        numbers: number of the numbers of a row: numeric columns, then fixed vectors.
        width: numbers of the flat vector.
        tables: names of the tables, in the order in which they lie.
        sparse: whether the table's gradient is a sparse tensor of the rows that were read; for optimizers that can
            take it. Off by default, as for `torch.nn.Embedding`.
    """

    offset: Int[Tensor, "*members columns"]
    """First row, in the tall table, of the table that each column of ids reads."""

    def __init__(self, schema: FeatureSchema, width: int) -> None:
        super().__init__()
        self.sparse = False
        self.tables = tuple(schema.tables)
        self.sequences = schema.sequences
        self.named_vectors = tuple(schema.vectors or ())
        columns = [*schema.categorical, *(table for field in schema.sequences for table in field.tables)]
        self.fields = len(columns)
        self.numbers = len(schema.numeric) + sum((schema.vectors or {}).values())
        self.width = width * self.fields + self.numbers
        start = dict(zip(schema.tables, accumulate(schema.tables.values(), initial=0), strict=False))
        self.register_buffer("offset", torch.tensor([start[name] for name in columns]).long())
        weight = torch.randn(sum(schema.tables.values()), width) * INITIAL_SPREAD
        if columns:
            self.weight = nn.Parameter(weight)
        else:  # Nobody reads it, so that no gradient comes of it.
            self.register_buffer("weight", weight)

    def embed(self, features: Features) -> Embedded:
        """Every feature as vectors, steps of a history one by one."""
        raw = [features.categorical, *(features.sequences[field.name] for field in self.sequences)]
        first, *rest = self.offset.unsqueeze(-2).split([ids.shape[-1] for ids in raw], -1)
        # PAD reads whichever row comes to lie there; `present` keeps it out of everything.
        steps = [(ids + start.unsqueeze(-2)).clamp(min=0) for ids, start in zip(raw[1:], rest, strict=True)]
        fields, *read = self.read(raw[0] + first, *steps)
        names = [field.name for field in self.sequences]
        numbers = [features.numeric, *(features.vectors[name] for name in self.named_vectors)]
        return Embedded(
            fields=fields,
            steps={name: step.flatten(-2) for name, step in zip(names, read, strict=True)},
            present={name: ids[..., 0] != PAD for name, ids in zip(names, raw[1:], strict=True)},
            numbers=(torch.cat(numbers, -1) if len(numbers) > 1 else numbers[0]).to(fields.dtype),
        )

    def read(self, *ids: Int[Tensor, "..."]) -> Sequence[Tensor]:
        """Rows of the tall table; a table that does not lie here puts its own way to read in the place of this one."""
        return lookup(self.weight, *ids, sparse=self.sparse)

    def pooled(self, embedded: Embedded) -> Float[Tensor, "*members rows {self.fields} width"]:
        """One vector for each categorical feature and each column of a sequence; an empty sequence is zero."""
        if not self.sequences:
            return embedded.fields
        pooled = [pool(field, embedded.steps[field.name], embedded.present[field.name]) for field in self.sequences]
        return torch.cat([embedded.fields.flatten(-2), *pooled], -1).unflatten(-1, (self.fields, -1))

    def vectors(
        self, features: Features
    ) -> tuple[Float[Tensor, "*members rows {self.fields} width"], Float[Tensor, "*members rows {self.numbers}"]]:
        """The vectors of every row, and its numbers."""
        embedded = self.embed(features)
        return self.pooled(embedded), embedded.numbers

    def flat(self, embedded: Embedded) -> Float[Tensor, "*members rows {self.width}"]:
        """One vector a row."""
        if not self.fields:  # Some runtimes refuse to lay no columns side by side.
            return embedded.numbers
        return torch.cat([self.pooled(embedded).flatten(-2), embedded.numbers], -1)

    def forward(self, features: Features) -> Float[Tensor, "*members rows {self.width}"]:
        return self.flat(self.embed(features))


def pool(
    field: SequenceField,
    steps: Float[Tensor, "*members rows steps width"],
    present: Bool[Tensor, "*members rows steps"],
) -> Float[Tensor, "*members rows width"]:
    """The mean (histories, and sets by default) or the sum of the steps that there are; zero where there are none."""
    share = present.to(steps.dtype)
    if field.ordered or field.pool == "mean":
        share = share / share.sum(-1, keepdim=True).clamp(min=1)
    return (steps * share.unsqueeze(-1)).sum(-2)
