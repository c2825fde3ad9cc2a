"""What layers have in common that run for one ranker and, mapped over members, for a stack of them."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor


def members_first(members: int, dims: Sequence[int | None], tensors: Sequence[Tensor | None]) -> Iterator[Tensor | None]:
    """The tensors of a mapped call with their members axis in front.

    Args:
        members: size of that axis.
        dims: where each tensor has it; None for what all members share, which is repeated without a copy.
        tensors: as the rule of an autograd function gets them; what is not there stays None.
    """
    for tensor, dim in zip(tensors, dims, strict=True):
        if tensor is None:
            yield None
        elif dim is None:
            yield tensor.expand(members, *tensor.shape)
        else:
            yield tensor if dim == 0 else tensor.movedim(dim, 0)


def affine(offset: Tensor, inputs: Tensor, matrix: Tensor) -> Tensor:
    """`offset + inputs @ matrix` in one call, with or without a members axis in front of all three."""
    return torch.addmm(offset, inputs, matrix) if inputs.dim() == 2 else torch.baddbmm(offset, inputs, matrix)
