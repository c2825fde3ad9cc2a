"""Softmax attention by torch's FlexAttention, which fuses scores, bias and softmax into one kernel."""

from collections.abc import Callable
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from distill.layers.stacking import traced

NARROWEST = 16
"""Numbers of a head's part below which there is no kernel for an accelerator."""


def fits(query: Tensor) -> bool:
    """Whether it can be used: it has no gradient on processors, and is no part of what is mapped or traced already."""
    there = query.is_cuda and query.shape[-1] >= NARROWEST
    return not traced() and (there or (not query.is_cuda and not torch.is_grad_enabled()))


def flexed(
    query: Float[Tensor, "rows heads queries part"],
    key: Float[Tensor, "rows heads tokens part"],
    value: Float[Tensor, "rows heads tokens part"],
    bias: Float[Tensor, "rows 1 queries tokens"],
) -> Float[Tensor, "rows heads queries part"]:
    """`softmax(q k^T / sqrt(part) + bias) v`, whose scores are never written down.

    Dong et al., Flex Attention: A Programming Model for Generating Optimized Attention Kernels, 2024. The bias, the
    same for all heads, holds the mask as well.
    """
    added = bias.squeeze(-3)

    shifted = lambda score, row, _, asks, holds: score + added[row, asks, holds]  # noqa: E731
    return _attention(query.is_cuda)(query, key, value, score_mod=shifted, scale=key.shape[-1] ** -0.5)


@cache
def _attention(compiled: bool) -> Callable[..., Tensor]:
    """Compiled on an accelerator, where it is a kernel only then; as it is elsewhere. Imported when it is wanted."""
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention, dynamic=True) if compiled else flex_attention
