"""Tokens: everything that is known of an impression as vectors of one width, for layers that cross them."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from distill.layers.embedding import Embedded, FieldEmbedding
from distill.layers.histories import CandidateAttention
from distill.layers.verticals import VerticalTable
from distill.types import FeatureSchema


class Tokens(nn.Module):
    """One vector for each id and pooled sequence, some for the numbers, one for the vertical, one for each history.

    Numbers go through one linear layer into vectors (Wukong, section 3.2); how many of them is ours.

    Args:
        schema: what the ranker sees.
        embedding: the tables, of width `width`.
        width: numbers of one vector.
        heads: heads of the attention of the candidate to each history.
        numeric: vectors that the numbers become.
    """

    def __init__(self, schema: FeatureSchema, embedding: FieldEmbedding, width: int, heads: int, numeric: int) -> None:
        super().__init__()
        self.vertical = VerticalTable(schema.verticals, width, spread=0.1)
        self.numbers = nn.Linear(embedding.numbers, numeric * width) if embedding.numbers else None
        self.histories = CandidateAttention(schema, width, heads, width)
        self.attended = nn.ModuleList(nn.Linear(read.width, width) for read in self.histories.reads)
        numeric = numeric if embedding.numbers else 0
        self.count = embedding.fields + numeric + 1 + len(self.attended)
        self.width = width

    def forward(
        self, embedded: Embedded, pooled: Float[Tensor, "rows fields width"], vertical: Int[Tensor, " rows"]
    ) -> Float[Tensor, "rows {self.count} {self.width}"]:
        """The vectors of each row.

        Args:
            embedded: every feature, steps one by one.
            pooled: the vectors of the categorical features and pooled sequences.
            vertical: the vertical of each row; an unknown one is a vector of zeros.
        """
        own = self.vertical(vertical)
        attended = zip(self.attended, self.histories(embedded, own), strict=True)
        tokens = [pooled, own.unsqueeze(-2), *(project(said).unsqueeze(-2) for project, said in attended)]
        if self.numbers is not None:
            tokens.append(self.numbers(embedded.numbers).unflatten(-1, (-1, self.width)))
        return torch.cat(tokens, -2)
