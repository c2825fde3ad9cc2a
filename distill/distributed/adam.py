"""RankAdam: the optimizer of a stack, on this process's part of the weights of one ranker."""

from collections.abc import Callable

import torch
from torch import Tensor, distributed, nn
from torch.distributed.tensor import DTensor

from distill.distributed.one import One, like, own
from distill.optimizer import MemberAdam, Rates, Tables


class RankAdam(torch.optim.Optimizer):
    """Steps one ranker of which this process holds a part.

    Dense weights are stepped where they lie; their gradients have been averaged over processes by then. Of tables,
    every process has all, and steps all by the rows that any process read.

    Args:
        one: the ranker.
        kind: the optimizer that suits the device.
        rates: of one member.
        rule: how tables are stepped.
        longest: norm of the whole gradient above which it is shortened.
    """

    def __init__(
        self, one: One, kind: type[MemberAdam], rates: Rates, rule: Tables, longest: float | None = None
    ) -> None:
        self.names = dict(one.named_parameters())
        super().__init__(self.names.values(), {})
        tables = {id(table) for table in one.tables()}
        self._tables = [parameter for parameter in self.names.values() if id(parameter) in tables]
        # A process may have nothing of a small one.
        self._dense = [one for one in self.names.values() if id(one) not in tables and own(one).numel()]
        self._stacked = {id(one): nn.Parameter(own(one).detach()[None]) for one in [*self._dense, *self._tables]}
        self.inner = kind(
            self._stacked.values(), rates, [self._stacked[id(one)] for one in self._tables], rule, longest
        )
        self.inner.shared = self._add_up

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """One step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for parameter in self._dense:
            self._stacked[id(parameter)].grad = own(parameter.grad)[None]
        for table in self._tables:
            self._stacked[id(table)].grad = merged(table.grad)
        self._follow()
        self.inner.step()
        return loss

    def snapshot(self) -> dict[str, Tensor]:
        """Weights and moments by name, cut up as the weights are; copying into them resumes."""
        state = {name: parameter.detach() for name, parameter in self.names.items()}
        for name, parameter in self.names.items():
            if id(parameter) in self._stacked:
                moments = self.inner.state[self._stacked[id(parameter)]]
                state |= {f"adam/{kind}/{name}": like(part[0], parameter) for kind, part in moments.items()}
        return state | {"adam/steps": self.inner.steps}

    def _add_up(self, squares: Tensor) -> Tensor:
        """Over the devices that share the dense weights; replicas have the same."""
        parts = next((one for one in self.names.values() if isinstance(one, DTensor)), None)
        if parts is not None:
            distributed.all_reduce(squares, group=parts.device_mesh.get_group("shard"))
        return squares

    def _follow(self) -> None:
        """Weights that torch has laid elsewhere in memory, as it may before the first step, are stepped there."""
        moved = False
        for parameter in self._dense:
            stacked, part = self._stacked[id(parameter)], own(parameter)
            if stacked.data_ptr() != part.data_ptr():
                stacked.data, moved = part.detach()[None], True
        if moved:
            self.inner._cut()


def merged(gradient: Tensor) -> Tensor:
    """The mean over processes of sparse gradients of a table, `[height, width]`; theirs one after another, stacked."""
    ids, rows = gather(gradient._indices()[0], gradient._values())
    member = torch.zeros_like(ids)
    rows = rows / distributed.get_world_size()
    return torch.sparse_coo_tensor(torch.stack([member, ids]), rows, (1, *gradient.shape), check_invariants=False)


def gather(*own: Tensor) -> list[Tensor]:
    """The tensors of all processes end to end; a process's own are of one length, which may not be the others'."""
    counts = everyone(torch.tensor(len(own[0]), device=own[0].device)).tolist()
    return [
        torch.cat([part[:count] for part, count in zip(_padded(one, max(counts)), counts, strict=True)]) for one in own
    ]


def everyone(own: Tensor) -> Tensor:
    """The tensors of all processes, which are of one shape, one above the other."""
    every = own.new_empty(distributed.get_world_size(), *own.shape)
    distributed.all_gather(list(every.unbind()), own.contiguous())
    return every


def _padded(own: Tensor, length: int) -> Tensor:
    padded = own.new_zeros(length, *own.shape[1:])
    padded[: len(own)] = own
    return everyone(padded)
