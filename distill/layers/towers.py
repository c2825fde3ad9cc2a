"""Towers: what each vertical computes with weights of its own, beside what all share."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from distill.layers.linear import Linear
from distill.layers.mlp import MLP
from distill.layers.verticals import VerticalTable


class VerticalLinear(nn.Module):
    """A linear layer with a matrix and a bias for each vertical, zero when fresh and for any unknown vertical.

    Each row gathers its own matrix: exact for any mixture of verticals and mapped over members like anything else, at
    the price of `inputs * outputs` numbers read a row. Meant for narrow layers.

    Args:
        count: number of verticals.
        inputs: width of what comes in.
        outputs: width of what goes out.
    """

    def __init__(self, count: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.matrix = VerticalTable(count, outputs * inputs)
        self.bias = VerticalTable(count, outputs)
        self.width = outputs

    def forward(
        self, inputs: Float[Tensor, "*members rows inputs"], vertical: Int[Tensor, "*members rows"]
    ) -> Float[Tensor, "*members rows {self.width}"]:
        return self.bias(vertical) + self.product(inputs, vertical)

    def product(self, inputs: Tensor, vertical: Tensor) -> Tensor:
        """`W_p x`, without the bias."""
        matrix = self.matrix(vertical).unflatten(-1, (self.width, -1))
        return (matrix @ inputs.unsqueeze(-1)).squeeze(-1)


class VerticalTowers(nn.Module):
    """A shared bottom, and on it a shared tower to which each vertical adds what its own tower says.

    Tencent's notes on their multi-scene ranker: a tower a scene, and a shared one for scenes too new to have learned
    their own. Own towers are a single layer and start at zero, ours: 200 deep ones would be read row by row.

    Args:
        inputs: width of what comes in.
        hidden: width of each layer; the last one is that of the towers.
        count: number of verticals.
    """

    def __init__(self, inputs: int, hidden: Sequence[int], count: int) -> None:
        super().__init__()
        *bottom, width = hidden
        self.bottom = MLP(inputs, bottom)
        self.common = Linear(self.bottom.width, width)
        self.own = VerticalLinear(count, self.bottom.width, width)
        self.width = width

    def forward(
        self, inputs: Float[Tensor, "*members rows inputs"], vertical: Int[Tensor, "*members rows"]
    ) -> Float[Tensor, "*members rows {self.width}"]:
        hidden = self.bottom(inputs)
        return torch.relu(self.common(hidden) + self.own(hidden, vertical))
