"""Task towers: a perceptron and a logit for each task, above what each task was told."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from distill.layers.linear import Linear
from distill.layers.mlp import MLP


class TaskTowers(nn.Module):
    """One perceptron a task, and one logit above each.

    Args:
        inputs: width of what each task was told.
        hidden: width of each layer.
        tasks: number of tasks.
        dropout: share of the hidden units dropped while training.
    """

    def __init__(self, inputs: int, hidden: Sequence[int], tasks: int, dropout: float) -> None:
        super().__init__()
        self.tasks = tasks
        self.towers = nn.ModuleList(MLP(inputs, hidden, dropout, salt) for salt in range(tasks))
        self.heads = nn.ModuleList(Linear(hidden[-1], 1) for _ in range(tasks))
        for head in self.heads:
            nn.init.zeros_(head.bias)

    def forward(
        self, told: Sequence[Float[Tensor, "*members rows _"]]
    ) -> tuple[Float[Tensor, "*members rows {self.tasks}"], Float[Tensor, "*members rows _"]]:
        """A logit a task, and the last layers side by side."""
        hidden = [tower(vector) for tower, vector in zip(self.towers, told, strict=True)]
        logit = torch.cat([head(vector) for head, vector in zip(self.heads, hidden, strict=True)], -1)
        return logit, torch.cat(hidden, -1)
