"""STAR: layers whose every weight a vertical scales."""

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float, Int
from torch import Tensor, nn

from distill.layers.linear import Linear
from distill.layers.partitioned import PartitionedLayerNorm
from distill.layers.towers import VerticalLinear


class StarLinear(nn.Module):
    """`(W * W_p) x + (b + b_p)`: a shared layer whose every weight each vertical scales.

    Sheng et al., One Model to Serve All: Star Topology Adaptive Recommender, CIKM 2021, equation 7. Kept as
    `W_p = 1 + D_p` with D_p zero at first, so that all verticals start as the shared layer and an unknown one stays it.

    Args:
        count: number of verticals.
        inputs: width of what comes in.
        outputs: width of what goes out.
    """

    def __init__(self, count: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.common = Linear(inputs, outputs)
        self.own = VerticalLinear(count, inputs, outputs)

    def forward(
        self, inputs: Float[Tensor, "*members rows inputs"], vertical: Int[Tensor, "*members rows"]
    ) -> Float[Tensor, "*members rows _"]:
        scale = self.own.matrix(vertical).unflatten(-1, (self.own.width, -1))
        scaled = ((self.common.weight.unsqueeze(-3) * scale) @ inputs.unsqueeze(-1)).squeeze(-1)
        return self.common(inputs) + scaled + self.own.bias(vertical)


class StarMLP(nn.Module):
    """Partitioned norm, then star layers with ReLU.

    Sheng et al., STAR, CIKM 2021; the norm takes its statistics over the features of a row, see PartitionedLayerNorm.

    Args:
        inputs: width of what comes in.
        hidden: width of each layer.
        count: number of verticals.
    """

    def __init__(self, inputs: int, hidden: Sequence[int], count: int) -> None:
        super().__init__()
        self.norm = PartitionedLayerNorm(count, inputs)
        self.layers = nn.ModuleList(StarLinear(count, *pair) for pair in pairwise([inputs, *hidden]))
        self.width = hidden[-1]

    def forward(
        self, inputs: Float[Tensor, "*members rows inputs"], vertical: Int[Tensor, "*members rows"]
    ) -> Float[Tensor, "*members rows {self.width}"]:
        hidden = self.norm(inputs, vertical)
        for layer in self.layers:
            hidden = layer(hidden, vertical).relu()
        return hidden
