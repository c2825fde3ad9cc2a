"""Normalisation over the features of one row; alone or stacked."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class LayerNorm(nn.Module):
    """Mean 0 and variance 1 over the last axis, then a learned scale and shift; alone or stacked.

    Ba, Kiros and Hinton, Layer Normalization, 2016.

    Args:
        width: numbers of the last axis.
        axes: axes between the members and the last one: 1 for a vector a row, 2 for several vectors a row.
    """

    def __init__(self, width: int, axes: int = 1) -> None:
        super().__init__()
        self.axes = axes
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, inputs: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        normal = functional.layer_norm(inputs, inputs.shape[-1:])
        return torch.addcmul(self._placed(self.bias), normal, self._placed(self.weight))

    def _placed(self, vector: Tensor) -> Tensor:
        return vector[(..., *(None,) * self.axes, slice(None))]
