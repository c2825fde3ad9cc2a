"""Multi-head attention between the vectors of one row, and pooling by it."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class MultiHead(nn.Module):
    """Each query gathers from the keys what fits it; a row without any key gets zeros.

    Vaswani et al., Attention Is All You Need, 2017, section 3.2.2.

    Args:
        width: numbers of a query, of a key, and of what comes out.
        heads: number of heads; divides the width.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(
        self,
        queries: Float[Tensor, "rows queries width"],
        keys: Float[Tensor, "rows keys width"],
        present: Bool[Tensor, "rows keys"] | None = None,
    ) -> Float[Tensor, "rows queries width"]:
        query, key, value = self._split(self.query(queries)), self._split(self.key(keys)), self._split(self.value(keys))
        scores = query @ key.mT * query.shape[-1] ** -0.5
        if present is None:
            share = scores.softmax(-1)
        else:
            there = present[..., None, None, :]
            # The lowest number, not minus infinity: a row without any key must not become NaN.
            share = scores.masked_fill(~there, torch.finfo(scores.dtype).min).softmax(-1) * there
        return self.output((share @ value).transpose(-3, -2).flatten(-2))

    def _split(self, vectors: Float[Tensor, "rows count width"]) -> Float[Tensor, "rows heads count part"]:
        return vectors.unflatten(-1, (self.heads, -1)).transpose(-3, -2)


class AttentionPooling(nn.Module):
    """So many learned seeds, each of which asks the vectors of a row: PMA.

    Lee et al., Set Transformer, ICML 2019, section 3.2, without the row-wise perceptron after it.

    Args:
        width: numbers of one vector.
        heads: number of heads.
        seeds: number of vectors that come out.
    """

    def __init__(self, width: int, heads: int, seeds: int) -> None:
        super().__init__()
        self.seeds = nn.Parameter(torch.randn(seeds, width))
        self.attention = MultiHead(width, heads)

    def forward(
        self, vectors: Float[Tensor, "rows count width"], present: Bool[Tensor, "rows count"] | None = None
    ) -> Float[Tensor, "rows seeds width"]:
        return self.attention(self.seeds.expand(len(vectors), -1, -1), vectors, present)
