"""Tokens: everything that is known of an impression as vectors of one width, for layers that cross them."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from distill.layers.embedding import FieldEmbedding
from distill.layers.linear import Linear


class Tokens(nn.Module):
    """One vector for each id and pooled sequence, some for the numbers, one for whatever else is known of the row.

    Numbers go through one linear layer into vectors (Wukong, section 3.2); how many of them is ours.

    Args:
        embedding: the tables, of width `width`.
        width: numbers of one vector.
        beside: widths of what else is known, such as the vertical and what each history says.
        numeric: vectors that the numbers become.
    """

    def __init__(self, embedding: FieldEmbedding, width: int, beside: Sequence[int], numeric: int = 2) -> None:
        super().__init__()
        self.numbers = Linear(embedding.numbers, numeric * width) if embedding.numbers else None
        self.project = nn.ModuleList(Linear(known, width) for known in beside)
        self.count = embedding.fields + len(beside) + (numeric if embedding.numbers else 0)
        self.width = width

    def forward(
        self,
        fields: Float[Tensor, "*members rows fields {self.width}"],
        numbers: Float[Tensor, "*members rows numbers"],
        beside: Sequence[Float[Tensor, "*members rows _"]],
    ) -> Float[Tensor, "*members rows {self.count} {self.width}"]:
        """The vectors of each row.

        Args:
            fields: those of the ids and pooled sequences.
            numbers: numeric features, as they came.
            beside: what else is known.
        """
        known = [project(vector).unsqueeze(-2) for project, vector in zip(self.project, beside, strict=True)]
        tokens = [fields, *known]
        if self.numbers is not None:
            tokens.append(self.numbers(numbers).unflatten(-1, (-1, self.width)))
        return torch.cat(tokens, -2)
