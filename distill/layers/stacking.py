"""What the shared layers have in common: one function for one ranker and for a stack of them."""

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.autograd import Function


class StackedFunction(Function):
    """An autograd function that takes tensors with or without a members axis in front, all of them alike.

    That is its rule under `vmap`: the axis comes to the front, and the function itself does the rest.
    """

    exact: ClassVar[bool] = False
    """Whether it keeps the precision of what it is given: it only moves numbers, and has no products."""

    @classmethod
    def vmap(cls, info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Any, Any]:
        """Runs it over members; what they all share is repeated without a copy."""
        pairs = zip(arguments, in_dims, strict=True)
        outputs = cls.apply(*(_members_first(one, dim, info.batch_size) for one, dim in pairs))
        return outputs, (0,) * len(outputs) if isinstance(outputs, tuple) else 0


def traced() -> bool:
    """Whether torch maps or compiles what is run now: no shape may then depend on data."""
    return torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()


def applied(function: type[StackedFunction], *arguments: Any) -> Any:
    """Runs a function; under autocast, in the lower precision, unless it says that it is `exact`."""
    device = next(one.device.type for one in arguments if isinstance(one, Tensor))
    # What stands on "meta" is only counted, and autocast has never heard of it.
    if device != "meta" and torch.is_autocast_enabled(device) and not function.exact:
        lower = torch.get_autocast_dtype(device)
        with torch.autocast(device, enabled=False):
            return _run(function, *(_lowered(one, lower) for one in arguments))
    return _run(function, *arguments)


def _run(function: type[StackedFunction], *arguments: Any) -> Any:
    if traced():
        return function.apply(*arguments)
    # What torch does besides for functions with a context of their own is to look up their signature, each time.
    return super(Function, function).apply(*arguments)


def _lowered(argument: Any, dtype: torch.dtype) -> Any:
    return argument.to(dtype) if isinstance(argument, Tensor) and argument.is_floating_point() else argument


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
