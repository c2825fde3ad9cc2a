"""Clipping: gradients that are too long, all weights of a member together, are shortened."""

from collections.abc import Callable, Iterable

from torch import Tensor, nn

TINY = 1e-6
"""Keeps a gradient of zero from being divided by zero."""


def clip(
    dense: Iterable[nn.Parameter],
    tables: Iterable[nn.Parameter],
    longest: float,
    shared: Callable[[Tensor], Tensor],
    squares: Tensor,
) -> None:
    """Scales the gradients of each member, in place, to a norm of at most `longest`, as `clip_grad_norm_` does.

    Pascanu, Mikolov and Bengio, On the Difficulty of Training Recurrent Neural Networks, 2013.

    Args:
        dense: stacked parameters, `[members, ...]` each.
        tables: stacked parameters of which every process has all; equal reads of a sparse gradient are added up.
        longest: the norm.
        shared: adds up the squares of processes that hold other parts of the dense parameters.
        squares: zeros, one a member.
    """
    dense, whole = list(dense), [table for table in tables if not table.grad.is_sparse]
    tables = [table for table in tables if table.grad.is_sparse]
    for parameter in dense:
        squares += parameter.grad.flatten(1).square().sum(1)
    squares = shared(squares)
    for table in whole:
        squares += table.grad.flatten(1).square().sum(1)
    for table in tables:
        table.grad = table.grad.coalesce()
        squares.index_add_(0, table.grad.indices()[0], table.grad.values().square().sum(-1).to(squares.dtype))
    factor = (longest / (squares.sqrt() + TINY)).clamp_max(1.0)
    for parameter in [*dense, *whole]:
        parameter.grad.mul_(factor.to(parameter.dtype).view(-1, *[1] * (parameter.dim() - 1)))
    for table in tables:
        table.grad.values().mul_(factor.to(table.dtype)[table.grad.indices()[0], None])
