"""Reading rows of a table: one gradient for many reads, and one read for many members."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import FunctionCtx

from distill.layers.stacking import StackedFunction, applied


class Lookup(StackedFunction):
    """`table[ids]` for several tensors of ids, with one gradient of the table for all of them.

    Why not `nn.functional.embedding`: its backward is several times slower on a CPU than `index_add_`, and each
    of several reads would fill, and then add up, a gradient of the whole table. On a CPU the members' tables are read
    one after another: a single one fits the processor's cache, a stack of them does not.
    """

    exact = True

    @staticmethod
    def forward(table: Tensor, sparse: bool, *ids: Tensor) -> tuple[Tensor, ...]:
        members, width = table.shape[:-2], table.shape[-1]
        return tuple(_read(_stacked(table), _flat(index, members)).view(*index.shape, width) for index in ids)

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple, output: tuple[Tensor, ...]) -> None:
        table, ctx.sparse, *ids = inputs
        ctx.save_for_backward(*ids)
        ctx.table = table.shape
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        members, width = ctx.table[:-2], ctx.table[-1]
        every = ctx.saved_tensors  # Once: what is computed again in the backward pass is there once.
        reads = [
            (_flat(ids, members), gradient.reshape(members.numel(), ids.shape[len(members) :].numel(), width))
            for ids, gradient in zip(every, gradients, strict=True)
            if gradient is not None
        ]
        if not reads:
            return None, None, *[None] * len(every)
        ids, gradient = (parts[0] if len(parts) == 1 else torch.cat(parts, 1) for parts in zip(*reads, strict=True))
        table = _sparse(ctx.table, ids, gradient) if ctx.sparse else _dense(ctx.table, ids, gradient)
        return table, None, *[None] * len(every)


def lookup(
    table: Float[Tensor, "*members height width"], *ids: Int[Tensor, "..."], sparse: bool = False
) -> tuple[Tensor, ...]:
    """Rows of `table`, one tensor for each tensor of ids, with the width behind its axes.

    Args:
        table: what is read.
        ids: row numbers.
        sparse: whether the gradient of the table is a sparse tensor of the rows that were read, uncoalesced. Stacked
            over members its entries stand member by member, equally many for each.
    """
    if _served(table):
        return tuple(torch.nn.functional.embedding(index, table) for index in ids)
    if torch.compiler.is_compiling() and not sparse:
        return applied(Lookup, table, False, *ids)
    return _learnt(table, sparse, *ids)


def _served(table: Tensor) -> bool:
    """Whether one ranker is asked and not taught: then a plain operation does, which leaves the number of rows open."""
    mapped = torch._C._are_functorch_transforms_active()
    return torch.compiler.is_exporting() or (table.dim() == 2 and not torch.is_grad_enabled() and not mapped)


@torch._disable_dynamo  # It knows no sparse gradients. The first call imports the compiler: who only serves can't wait.
def _learnt(table: Tensor, sparse: bool, *ids: Tensor) -> tuple[Tensor, ...]:
    return applied(Lookup, table, sparse, *ids)


def _stacked(table: Tensor) -> Tensor:
    return table if table.dim() == 3 else table[None]


def _flat(ids: Tensor, members: torch.Size) -> Tensor:
    """Row numbers `[members, reads]`; one member where there is no members axis."""
    return ids.reshape(members.numel(), ids.shape[len(members) :].numel())


def _read(stack: Tensor, ids: Tensor) -> Tensor:
    if stack.device.type != "cpu" or torch.compiler.is_compiling():
        return stack.flatten(0, 1).index_select(0, _placed(ids, stack.shape[1]).flatten())
    rows = stack.new_empty(*ids.shape, stack.shape[-1])
    tables, outs = (stack, rows) if stack.shape[-1] > 1 else (stack[..., 0], rows[..., 0])  # numbers go faster
    for table, numbers, out in zip(tables.unbind(), ids.unbind(), outs.unbind(), strict=True):
        torch.index_select(table, 0, numbers, out=out)
    return rows


def _dense(shape: torch.Size, ids: Tensor, gradient: Tensor) -> Tensor:
    table = gradient.new_zeros(shape)
    if table.device.type != "cpu" or torch.compiler.is_compiling():
        table.view(-1, shape[-1]).index_add_(0, _placed(ids, shape[-2]).flatten(), gradient.flatten(0, 1))
        return table
    for own, numbers, rows in zip(_stacked(table).unbind(), ids.unbind(), gradient.unbind(), strict=True):
        own.index_add_(0, numbers, rows)
    return table


def _sparse(shape: torch.Size, ids: Tensor, gradient: Tensor) -> Tensor:
    rows = ids.flatten()
    if len(shape) == 3:
        member = torch.arange(shape[0], device=ids.device).repeat_interleave(ids.shape[1])
        rows = torch.stack([member, rows])
    return torch.sparse_coo_tensor(rows.view(len(shape) - 1, -1), gradient.flatten(0, 1), shape, check_invariants=False)


def _placed(ids: Tensor, height: int) -> Tensor:
    """Row numbers in a table in which those of the members lie end to end."""
    return ids + torch.arange(len(ids), device=ids.device)[:, None] * height
