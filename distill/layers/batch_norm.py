"""Batch norm whose statistics are a ranker's own, alone or stacked, whoever fills up its batch."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

EPSILON = 1e-5
"""Keeps the variance of a unit that never changes from being divided by."""
MOMENTUM = 0.1
"""Share of a step's statistics in those that scoring uses."""
ALL = torch.iinfo(torch.int64).max
"""Stands for the number of rows where nothing fills up a batch."""


class BatchNormReLU(nn.Module):
    """Mean 0 and variance 1 over the rows of a step, then a learned scale and shift, then ReLU; alone or stacked.

    Ioffe and Szegedy, Batch Normalization, 2015 (algorithms 1 and 2). Evaluation uses what training has taken down, so
    that a score depends on its own row alone. Each member of a stack has statistics of its own, over the rows that it
    has: those that fill up its batch are left out. They are taken down only where gradients are: whoever tries out a
    forward pass leaves no trace.

    Args:
        width: units.
    """

    mean: Float[Tensor, "*members width"]
    """Running mean of each unit."""
    variance: Float[Tensor, "*members width"]
    """Running variance of each unit, without bias."""
    rows: Int[Tensor, "*members"]
    """Rows of the present step, which stand before those that fill it up; whoever trains the ranker sets it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))
        self.register_buffer("rows", torch.tensor(ALL), persistent=False)

    def forward(self, inputs: Float[Tensor, "*members rows width"]) -> Float[Tensor, "*members rows width"]:
        inputs = inputs.to(self.weight.dtype)  # Sums of squares want more digits than products do.
        mean, variance = self._of(inputs) if self.training else (self.mean, self.variance)
        scale = self.weight * (variance + EPSILON).rsqrt()
        return torch.addcmul((self.bias - mean * scale).unsqueeze(-2), inputs, scale.unsqueeze(-2)).relu()

    def _of(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of a step, after they have been taken down."""
        there, count = self._there(inputs)
        mean = (inputs * there).sum(-2) / count
        variance = ((inputs - mean.unsqueeze(-2)).square() * there).sum(-2) / count
        if torch.is_grad_enabled():
            with torch.no_grad():
                self.mean.lerp_(mean.detach(), MOMENTUM)
                self.variance.lerp_(variance.detach() * (count / (count - 1).clamp_min(1)), MOMENTUM)
        return mean, variance

    def _there(self, inputs: Tensor) -> tuple[Bool[Tensor, "*members rows 1"], Float[Tensor, "*members 1"]]:
        """Which rows are no filling, and how many."""
        rows = inputs.shape[-2]
        there = torch.arange(rows, device=inputs.device) < self.rows.unsqueeze(-1)
        return there.unsqueeze(-1), self.rows.clamp(1, rows).unsqueeze(-1).to(inputs.dtype)
