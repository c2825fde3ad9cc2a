"""Rotary encodings: queries and keys turned by their places, so that a score knows how far apart they are."""

import torch
from jaxtyping import Float
from torch import Tensor

BASE = 10_000.0
"""Of the wave lengths."""


def rotated(
    vectors: Float[Tensor, "*batch tokens width"], places: Float[Tensor, "*places tokens"]
) -> Float[Tensor, "*batch tokens width"]:
    """Each pair of numbers turned by an angle that grows with the place; slowly for later pairs.

    Su et al., RoFormer: Enhanced Transformer with Rotary Position Embedding, 2021, equation 34, with pairs half a width
    apart, as in Llama's code. Places may be times as well as counts.

    Args:
        vectors: of an even width.
        places: of the tokens; other axes fit those of the vectors.
    """
    half = vectors.shape[-1] // 2
    speed = BASE ** (-torch.arange(half, dtype=vectors.dtype, device=vectors.device) / half)
    angle = places.unsqueeze(-1) * speed
    cosine, sine = angle.cos(), angle.sin()
    first, second = vectors[..., :half], vectors[..., half:]
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], -1)
