"""Field-pair attention: which feature of the candidate may ask which column of a history, learned and pruned."""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

Inner = Literal["none", "sigmoid"]

INTERVAL = 100
"""Steps between two prunings, as released."""
PACE = 0.8
"""What is left of the way to the final sparsity after each pruning, as released."""


class FieldPairAttention(nn.Module):
    """A step counts by the dot products of its columns with the candidate's fields, each pair weighed by one number.

    Zheng et al., AutoAttention: Automatic Field Pair Selection for Attention in User Behavior Modeling, ICDM 2022:
    `a_t = softmax(inner(sum_bq w_bq <e_q, e_bt> + K * bias) / sqrt(K))`. Every 100 steps the smallest weights are
    pruned, to a share of `sparsity * (1 - 0.8^(step / 100))`. The released code's inner activation, a sigmoid, leaves
    any two steps within a factor of `exp(1 / sqrt(K))`, which is nearly a mean; without it the bias would cancel in the
    softmax, so there is none. Pruned weights count as zero and get no gradient, but keep their value: ours, so that
    what is pruned is a function of the weights and of the step.

    Args:
        queries: number of fields that ask.
        columns: number of columns of the history.
        inner: what is done to a step's sum before the softmax.
        sparsity: share of the pairs that is pruned in the end.
    """

    clock: Int[Tensor, "*members 2"]
    """Seed of the ranker and number of the step; whoever trains it sets it before each step."""

    def __init__(self, queries: int, columns: int, inner: Inner, sparsity: float) -> None:
        super().__init__()
        self.sparsity = sparsity
        self.weight = nn.Parameter(1 + torch.randn(columns, queries) * 0.1)
        self.bias = nn.Parameter(torch.zeros(())) if inner == "sigmoid" else None
        self.register_buffer("clock", torch.zeros(2, dtype=torch.int64))

    def forward(
        self,
        queries: Float[Tensor, "rows queries width"],
        steps: Float[Tensor, "rows steps columns width"],
        present: Bool[Tensor, "rows steps"],
    ) -> Float[Tensor, "rows columns width"]:
        """The steps, added up by what they count; zero where no step is present."""
        share = self.shares(queries, steps, present)
        return (share[..., None, :, None] * steps.transpose(-3, -2)).sum(-2)

    def shares(
        self,
        queries: Float[Tensor, "rows queries width"],
        steps: Float[Tensor, "rows steps columns width"],
        present: Bool[Tensor, "rows steps"],
    ) -> Float[Tensor, "rows steps"]:
        """How much each step counts; 1 together, or 0 where there is none."""
        width = queries.shape[-1]
        wanted = (self.weight * self.left()) @ queries
        sums = (steps * wanted.unsqueeze(-3)).sum((-2, -1))
        if self.bias is not None:
            sums = (sums + width * self.bias).sigmoid()
        scores = (sums * width**-0.5).masked_fill(~present, torch.finfo(sums.dtype).min)
        return scores.softmax(-1) * present

    def left(self) -> Bool[Tensor, "columns queries"]:
        """The pairs that are not pruned at this step."""
        steps = self.clock[..., 1] // INTERVAL
        pruned = self.sparsity * (1 - PACE**steps) * self.weight.numel()
        rank = self.weight.detach().abs().flatten().argsort().argsort()
        return (rank >= pruned.floor()).view_as(self.weight)
