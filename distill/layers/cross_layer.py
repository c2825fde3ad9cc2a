"""Attention of one layer's vectors to those of the layers before it."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from distill.layers.multihead import AttentionPooling, MultiHead
from distill.layers.norm import LayerNorm

POOLED = 4
"""Vectors that each earlier layer is pooled to: what a layer asks grows with the depth, not with the breadth."""


class CrossLayerAttention(nn.Module):
    """What the vectors of a layer find in all earlier layers, each pooled to a few vectors; zero when fresh.

    Meta's GEM adds "cross-layer attention connections" to Wukong (Engineering at Meta, 2025-11-10) without saying how.
    Ours: `Attn(Q = X_l, K = V = [X_0 .. X_{l-1}])`, keys pooled layer by layer with common seeds and normalised, as
    layers differ in scale; the projection of the output starts at zero.

    Args:
        width: numbers of one vector.
        heads: number of heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.pool = AttentionPooling(width, heads, POOLED)
        self.norm = LayerNorm(width, axes=2)
        self.attention = MultiHead(width, heads)
        nn.init.zeros_(self.attention.output.weight)

    def forward(
        self, tokens: Float[Tensor, "rows count width"], seen: Sequence[Float[Tensor, "rows _ width"]]
    ) -> Float[Tensor, "rows count width"]:
        """What to add to the layer's output.

        Args:
            tokens: what the layer read; the queries.
            seen: what the layers before it read.
        """
        return self.attention(tokens, self.norm(torch.cat([self.pool(layer) for layer in seen], -2)))
