"""Reading rows of a table: one gradient for many reads, and one read for many members."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import FunctionCtx


class Lookup(torch.autograd.Function):
    """`table[ids]` for several tensors of ids, with one gradient of the table for all of them.

    Why not `nn.functional.embedding`: its backward is several times slower on a CPU than `index_add_`, and each
    of several reads would fill, and then add up, a gradient of the whole table. Mapped over members, the tables
    are laid end to end and read once.
    """

    @staticmethod
    def forward(table: Tensor, *ids: Tensor) -> tuple[Tensor, ...]:
        return tuple(table.index_select(0, index.flatten()).unflatten(0, index.shape) for index in ids)

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        table, *ids = inputs
        ctx.save_for_backward(*ids)
        ctx.table_shape = table.shape
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        ids = ctx.saved_tensors
        read = [pair for pair in zip(ids, gradients, strict=True) if pair[1] is not None]
        table = read[0][1].new_zeros(ctx.table_shape) if read else None
        for index, gradient in read:
            table.index_add_(0, index.flatten(), gradient.flatten(0, -2))
        return table, *[None] * len(ids)

    @staticmethod
    def vmap(info: object, in_dims: tuple[int | None, ...], table: Tensor, *ids: Tensor) -> tuple:
        table_dim, *id_dims = in_dims
        ids = [_first(index, dim, info.batch_size) for index, dim in zip(ids, id_dims, strict=True)]
        if table_dim is not None:
            table = table.movedim(table_dim, 0)
            start = torch.arange(info.batch_size, device=table.device) * table.shape[1]
            ids = [index + start.view(-1, *[1] * (index.dim() - 1)) for index in ids]
            table = table.flatten(0, 1)
        return Lookup.apply(table, *ids), (0,) * len(ids)


def _first(index: Tensor, dim: int | None, members: int) -> Tensor:
    """`index` with the members axis in front; ids that all members share are repeated."""
    return index.expand(members, *index.shape) if dim is None else index.movedim(dim, 0)


def lookup(table: Float[Tensor, "height width"], *ids: Int[Tensor, "..."]) -> tuple[Tensor, ...]:
    """Rows of `table`, one tensor for each tensor of ids, with the width behind its axes."""
    return Lookup.apply(table, *ids)
