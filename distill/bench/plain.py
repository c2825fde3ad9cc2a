"""Plain modules: DeepFM and DCN V2 as one writes them in PyTorch for one model, with nothing of ours in them.

Whatever was found to make the loop faster is in here: `index_select` (its backward is `index_add_`; that of
`nn.Embedding` is slower), one table for all fields, first-order weights in a table of their own, `addcmul`.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


def perceptron(inputs: int, hidden: Sequence[int]) -> nn.Sequential:
    """Linear layers, each with a ReLU in place."""
    layers = [nn.Sequential(nn.Linear(*sizes), nn.ReLU(inplace=True)) for sizes in pairwise((inputs, *hidden))]
    return nn.Sequential(*(layer for pair in layers for layer in pair))


class Table(nn.Module):
    """Embeddings of all fields in one table; ids come with the offsets of their fields."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(height, width) * 0.05)

    def forward(self, ids: Tensor) -> Tensor:
        return self.weight.index_select(0, ids.flatten()).view(*ids.shape, -1)


class DeepFM(nn.Module):
    """Guo et al., DeepFM: A Factorization-Machine based Neural Network for CTR Prediction, 2017."""

    def __init__(self, height: int, fields: int, numeric: int, width: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.vectors, self.first_order = Table(height, width), Table(height, 1)
        self.linear = nn.Linear(numeric, 1)
        self.deep = perceptron(fields * width + numeric, hidden)
        self.head = nn.Linear(hidden[-1], 1)

    def forward(self, ids: Tensor, numbers: Tensor) -> Tensor:
        vectors = self.vectors(ids)
        total = vectors.sum(1)
        pairs = 0.5 * (total.square() - vectors.square().sum(1)).sum(1)
        first_order = self.first_order(ids).sum((1, 2))
        deep = self.head(self.deep(torch.cat([vectors.flatten(1), numbers], 1)))
        return pairs + first_order + (deep + self.linear(numbers)).squeeze(1)


class DCNv2(nn.Module):
    """Wang et al., DCN V2, WWW 2021: two cross layers with full matrices beside a perceptron."""

    def __init__(self, height: int, fields: int, numeric: int, width: int, hidden: Sequence[int]) -> None:
        super().__init__()
        inputs = fields * width + numeric
        self.vectors = Table(height, width)
        self.cross = nn.ModuleList(nn.Linear(inputs, inputs) for _ in range(2))
        self.deep = perceptron(inputs, hidden)
        self.head = nn.Linear(inputs + hidden[-1], 1)

    def forward(self, ids: Tensor, numbers: Tensor) -> Tensor:
        inputs = crossed = torch.cat([self.vectors(ids).flatten(1), numbers], 1)
        for layer in self.cross:
            crossed = torch.addcmul(crossed, inputs, layer(crossed))
        return self.head(torch.cat([crossed, self.deep(inputs)], 1)).squeeze(1)


STUDENTS = {"students.DeepFM": DeepFM, "students.DCNv2": DCNv2}
"""Class path of a student -> the same as a plain module."""
