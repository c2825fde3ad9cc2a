"""Histories: what those of a schema say of the candidate, and their steps as vectors of one width."""

from itertools import accumulate

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from distill.layers.attention import TargetAttention
from distill.layers.embedding import Embedded
from distill.types import FeatureSchema, SequenceField


class CandidateAttention(nn.Module):
    """Each history of a schema, read with the candidate in mind.

    The candidate is what shares a table with the history, or every categorical feature where nothing does.

    Args:
        schema: what the ranker sees.
        embedding: width of one embedding.
        heads: heads of the attention to each history.
        context: width of what else is known of the row, such as the embedding of its vertical.
    """

    def __init__(self, schema: FeatureSchema, embedding: int, heads: int, context: int) -> None:
        super().__init__()
        self.histories = ordered(schema)
        self.candidates = tuple(_candidates(schema, field) for field in self.histories)
        self.reads = nn.ModuleList(
            TargetAttention(
                embedding * len(candidates) + context,
                field.length,
                embedding * len(field.tables),
                heads,
                embedding * len(field.tables),
            )
            for field, candidates in zip(self.histories, self.candidates, strict=True)
        )
        self.widths = [read.width for read in self.reads]
        self.width = sum(self.widths)

    def forward(self, embedded: Embedded, context: Float[Tensor, "rows context"]) -> list[Float[Tensor, "rows _"]]:
        """One vector for each history, as wide as one of its steps; zero where no step is present."""
        attended = []
        for read, field, candidates in zip(self.reads, self.histories, self.candidates, strict=True):
            query = torch.cat([*(embedded.fields[..., index, :] for index in candidates), context], -1)
            attended.append(read(query, embedded.steps[field.name], embedded.present[field.name]))
        return attended


class Steps(nn.Module):
    """The steps of every history, one after another, as vectors of one width; each knows its history and its place.

    Args:
        schema: what the ranker sees; at least one history.
        width: width of an embedding, and of a step.
    """

    def __init__(self, schema: FeatureSchema, width: int) -> None:
        super().__init__()
        self.histories = ordered(schema)
        self.count = sum(field.length for field in self.histories)
        self.width = width
        self.project = nn.ModuleList(nn.Linear(width * len(field.tables), width) for field in self.histories)
        self.position = nn.Parameter(torch.randn(self.count, width) * 0.02)

    def newest(self, count: int) -> list[int]:
        """Places of the `count` newest steps of each history."""
        first = accumulate((field.length for field in self.histories), initial=0)
        lengths = zip(first, self.histories, strict=False)
        return [start + step for start, field in lengths for step in range(min(count, field.length))]

    def forward(
        self, embedded: Embedded
    ) -> tuple[Float[Tensor, "rows {self.count} {self.width}"], Bool[Tensor, "rows {self.count}"]]:
        """The steps, zero where there is none, and which there are."""
        steps = [
            project(embedded.steps[field.name]) for project, field in zip(self.project, self.histories, strict=True)
        ]
        present = torch.cat([embedded.present[field.name] for field in self.histories], -1)
        return (torch.cat(steps, -2) + self.position) * present.unsqueeze(-1), present


def ordered(schema: FeatureSchema) -> tuple[SequenceField, ...]:
    """The histories of a schema; sets of values are none."""
    return tuple(field for field in schema.sequences if field.ordered)


def _candidates(schema: FeatureSchema, field: SequenceField) -> list[int]:
    """The categorical features that share a table with the history, or all of them where none does."""
    every = range(len(schema.categorical))
    return [index for index in every if schema.categorical[index] in field.tables] or list(every)
