"""What is kept for each vertical: vectors of its own, and what they change."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from distill.layers.lookup import lookup


class VerticalTable(nn.Module):
    """One vector for each vertical; any other id reads zeros, which no training moves.

    Whatever is made from it is written so that zeros change nothing: an unknown vertical is then served by what the
    others share.

    Args:
        count: number of verticals.
        width: numbers of one vector.
        spread: standard deviation of a fresh one; 0 lets all verticals start alike.
    """

    def __init__(self, count: int, width: int, spread: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("count", torch.tensor(count))
        self.weight = nn.Parameter(torch.cat([torch.randn(count, width) * spread, torch.zeros(1, width)]))
        self.width = width

    def forward(self, vertical: Int[Tensor, "*members rows"]) -> Float[Tensor, "*members rows {self.width}"]:
        return lookup(self.weight, place(vertical, self.count))[0]


class Verticals(nn.Module):
    """What a vertical changes: it adds an embedding, gates every input and shifts every logit.

    Any other id than those of the known verticals changes nothing: embedding 0, gates 1, biases 0.

    Args:
        count: number of verticals.
        width: width of an embedding.
        gates: number of inputs.
        tasks: number of logits.
    """

    def __init__(self, count: int, width: int, gates: int, tasks: int) -> None:
        super().__init__()
        self.register_buffer("count", torch.tensor(count))
        self.embedding = nn.Parameter(torch.cat([torch.randn(count, width) * 0.1, torch.zeros(1, width)]))
        self.gate = nn.Linear(width, gates, bias=False)
        self.bias = nn.Parameter(torch.zeros(count + 1, tasks))

    def forward(self, vertical: Int[Tensor, "*members rows"]) -> tuple[Float[Tensor, "*members rows _"], ...]:
        """Embedding, gates in (0, 2) and biases of each row's vertical."""
        row = place(vertical, self.count)
        # Gates are worked out once a vertical, of which there are fewer than rows.
        tables = (self.embedding, 2 * (self.embedding @ self.gate.weight.mT).sigmoid(), self.bias)
        return tuple(lookup(table, row)[0] for table in tables)


def place(vertical: Int[Tensor, "*members rows"], count: Int[Tensor, "*members"]) -> Int[Tensor, "*members rows"]:
    """The row of each vertical in a table of `count` rows and a last one, which any other id reads."""
    last = count.unsqueeze(-1)
    return torch.where((vertical >= 0) & (vertical < last), vertical, last)
