"""What the shared layers have in common: one function for one ranker and for a stack of them."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function


class StackedFunction(Function):
    """An autograd function that takes tensors with or without a members axis in front, all of them alike.

    That is its rule under `vmap`: the axis comes to the front, and the function itself does the rest.
    """

    @classmethod
    def apply(cls, *arguments: Any) -> Any:
        """Runs it."""
        if mapped():
            return super().apply(*arguments)
        # What torch does besides for functions with a context of their own is to look up their signature, each time.
        return super(Function, cls).apply(*arguments)

    @classmethod
    def vmap(cls, info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Any, Any]:
        """Runs it over members; what they all share is repeated without a copy."""
        pairs = zip(arguments, in_dims, strict=True)
        outputs = cls.apply(*(_members_first(one, dim, info.batch_size) for one, dim in pairs))
        return outputs, (0,) * len(outputs) if isinstance(outputs, tuple) else 0


def mapped() -> bool:
    """Whether a transform of `torch.func` is at work, such as `vmap`, under which no shape may depend on data."""
    return torch._C._are_functorch_transforms_active()


def _members_first(argument: Any, dim: int | None, members: int) -> Any:
    if not isinstance(argument, Tensor):
        return argument
    if dim is None:
        return argument.expand(members, *argument.shape)
    return argument if dim == 0 else argument.movedim(dim, 0)


def affine(offset: Tensor, inputs: Tensor, matrix: Tensor) -> Tensor:
    """`offset + inputs @ matrix` in one call, with or without a members axis in front of all three."""
    return torch.addmm(offset, inputs, matrix) if inputs.dim() == 2 else torch.baddbmm(offset, inputs, matrix)


def affine_(total: Tensor, inputs: Tensor, matrix: Tensor) -> Tensor:
    """Adds `inputs @ matrix` to `total` in place."""
    return total.addmm_(inputs, matrix) if inputs.dim() == 2 else total.baddbmm_(inputs, matrix)
