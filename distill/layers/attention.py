"""Target attention: what a history says of one candidate."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class TargetAttention(nn.Module):
    """Each head weighs the steps of a history by how well they fit the candidate, and adds them up.

    Multi-head attention (Vaswani et al., Attention Is All You Need, 2017) with a single query. As one query meets many
    steps, the key projection is folded into the query's and the value projection into the output's: the same bilinear
    form, without a pass over every step. A learned bias says how much each head cares for how recent a step is.

    Args:
        query: width of the candidate.
        steps: most steps of a history.
        inputs: width of one step.
        heads: number of heads.
        width: width of what comes out.
    """

    def __init__(self, query: int, steps: int, inputs: int, heads: int, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(query, heads * inputs)
        self.recency = nn.Parameter(torch.zeros(heads, steps))
        self.output = nn.Linear(heads * inputs, width, bias=False)
        self.heads = heads
        self.width = width

    def forward(
        self,
        query: Float[Tensor, "rows query"],
        steps: Float[Tensor, "rows steps inputs"],
        present: Bool[Tensor, "rows steps"],
    ) -> Float[Tensor, "rows {self.width}"]:
        """One vector a row; zero where no step is present."""
        heads = self.query(query).unflatten(-1, (self.heads, -1))
        scores = heads @ steps.mT * steps.shape[-1] ** -0.5 + self.recency
        there = present.unsqueeze(-2)
        # The lowest number, not minus infinity: a row without any step must not become NaN.
        share = scores.masked_fill(~there, torch.finfo(scores.dtype).min).softmax(-1) * there
        return self.output((share @ steps).flatten(-2))
