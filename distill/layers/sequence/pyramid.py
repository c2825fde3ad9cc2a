"""Pyramid: fewer tokens for the older part of a long history."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional


def reduced(length: int, keep: int, ratio: int) -> int:
    """Steps that are left of so many.

    Example:
        >>> reduced(10, keep=4, ratio=4), reduced(3, keep=4, ratio=4)
        (6, 3)
    """
    return length if length <= keep else keep - -(length - keep) // ratio


def pooled(
    steps: Float[Tensor, "rows steps width"], present: Bool[Tensor, "rows steps"], keep: int, ratio: int
) -> tuple[Float[Tensor, "rows fewer width"], Bool[Tensor, "rows fewer"]]:
    """The newest steps as they are, older ones as means of `ratio` neighbours, the first group next to what is kept.

    Meta's GEM has a pyramid over thousands of events and does not say how (Engineering at Meta, 2025); LLaTTE (2026)
    drops older tokens with depth. That newest ones stay exact and older ones are averaged is our choice.

    Args:
        steps: newest first.
        present: which of them there are.
        keep: newest steps that stay.
        ratio: older steps that become one; the last group may be smaller.

    Returns:
        As many steps as `reduced` says, and which of them stand for any.
    """
    count = steps.shape[-2]
    if count <= keep:
        return steps, present
    missing = -(count - keep) % ratio
    there = functional.pad(present[..., keep:], (0, missing)).unflatten(-1, (-1, ratio))
    older = functional.pad(steps[..., keep:, :], (0, 0, 0, missing)).unflatten(-2, (-1, ratio))
    share = there.to(steps.dtype)
    share = share / share.sum(-1, keepdim=True).clamp(min=1)
    means = (share.unsqueeze(-2) @ older).squeeze(-2)
    return torch.cat([steps[..., :keep, :], means], -2), torch.cat([present[..., :keep], there.any(-1)], -1)
