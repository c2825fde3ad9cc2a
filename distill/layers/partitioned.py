"""Partitioned norm: scales and shifts of its own for each vertical; never a statistic of a batch."""

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from distill.layers.linear import Linear
from distill.layers.norm import LayerNorm
from distill.layers.verticals import VerticalTable


class PartitionedLayerNorm(nn.Module):
    """Layer norm whose scale and shift each vertical adjusts: `(gamma * gamma_p) * normal + (beta + beta_p)`.

    The partitioned norm of STAR (Sheng et al., One Model to Serve All, CIKM 2021, equation 4) with the statistics of a
    row's own features in place of its vertical's batches, as in Tencent's notes on their multi-scene ranker: safe for
    small verticals and for a batch of one row, and nothing has to be remembered for scoring.

    Args:
        count: number of verticals; any other id has the common scale and shift.
        width: numbers of one row.
    """

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.common = LayerNorm(width)
        self.scale = VerticalTable(count, width)
        self.shift = VerticalTable(count, width)

    def forward(
        self, inputs: Float[Tensor, "*members rows width"], vertical: Int[Tensor, "*members rows"]
    ) -> Float[Tensor, "*members rows width"]:
        normal = functional.layer_norm(inputs, inputs.shape[-1:])
        scale = self.common.weight.unsqueeze(-2) * (1 + self.scale(vertical))
        return normal * scale + self.common.bias.unsqueeze(-2) + self.shift(vertical)


class PartitionedMLP(nn.Module):
    """A perceptron that all verticals share, but for the scale and shift of its norms.

    Args:
        inputs: width of what comes in.
        hidden: width of each layer.
        count: number of verticals.
    """

    def __init__(self, inputs: int, hidden: Sequence[int], count: int) -> None:
        super().__init__()
        self.normal = PartitionedLayerNorm(count, inputs)
        self.layers = nn.ModuleList(Linear(*pair) for pair in pairwise([inputs, *hidden]))
        self.norms = nn.ModuleList(PartitionedLayerNorm(count, width) for width in hidden)
        self.width = hidden[-1]

    def forward(
        self, inputs: Float[Tensor, "*members rows inputs"], vertical: Int[Tensor, "*members rows"]
    ) -> Float[Tensor, "*members rows {self.width}"]:
        hidden = self.normal(inputs, vertical)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            hidden = norm(layer(hidden), vertical).relu()
        return hidden
