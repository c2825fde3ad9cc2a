"""Interactions: layers that cross the vectors of a row, one above the other."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from distill.layers.cross_layer import CrossLayerAttention
from distill.layers.linear import Linear
from distill.layers.norm import LayerNorm


class Interactions(nn.Module):
    """Layers in order, such as those of Wukong, perhaps with attention across them.

    With `heads`, each layer but the first also asks all layers before it: the "enhanced Wukong with cross-layer
    attention connections" of Meta's GEM (Engineering at Meta, 2025-11-10), which says no more than that; the form is
    ours. What it adds starts at zero, so that a fresh stack is the plain one to the last bit.

    Args:
        layers: the layers; across them, all must give as many vectors as the first.
        width: numbers of one vector.
        heads: heads of the attention across layers; None for none.
    """

    def __init__(self, layers: Sequence[nn.Module], width: int, heads: int | None = None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        later = [] if heads is None else range(1, len(layers))
        self.across = nn.ModuleList(CrossLayerAttention(width, heads) for _ in later)

    def forward(
        self, tokens: Float[Tensor, "*members rows inputs width"], beside: Callable[[int, Tensor], Tensor] | None = None
    ) -> Float[Tensor, "*members rows _ width"]:
        """The vectors that the last layer gives.

        Args:
            tokens: the vectors of each row.
            beside: from a layer's place and its vectors to more vectors that it is given.
        """
        seen: list[Tensor] = []
        for place, layer in enumerate(self.layers):
            crossed = layer(tokens if beside is None else torch.cat([tokens, beside(place, tokens)], -2))
            if place and self.across:
                crossed = crossed + self.across[place - 1](tokens, seen)
            seen, tokens = [*seen, tokens], crossed
        return tokens


class FlatInteraction(nn.Module):
    """A layer made of one that takes and gives flat vectors, such as Cross or MaskNet: flat, crossed, cut up again.

    Args:
        cross: from all vectors of a row side by side to one vector, as wide as its `width`.
        outputs: vectors that go out.
        width: numbers of one vector.
    """

    def __init__(self, cross: nn.Module, outputs: int, width: int) -> None:
        super().__init__()
        self.cross, self.width = cross, width
        self.output = Linear(cross.width, outputs * width)
        self.norm = LayerNorm(width, axes=2)

    def forward(self, tokens: Float[Tensor, "*members rows inputs width"]) -> Float[Tensor, "*members rows _ width"]:
        return self.norm(self.output(self.cross(tokens.flatten(-2))).unflatten(-1, (-1, self.width)))
