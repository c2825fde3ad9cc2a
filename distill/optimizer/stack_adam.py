"""StackAdam: Adam on all members of a stack at once, for devices on which a call costs more than its work."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from distill.optimizer.adam import MemberAdam
from distill.optimizer.fused import EPSILON
from distill.optimizer.tables import RowwiseAdagrad, RowwiseAdam, WholeTable, pull

MOMENTS = ("mean", "square")
"""What is kept of a dense parameter."""


class Steps(NamedTuple):
    """What one step takes: numbers of each member, or of the member that each row belongs to, shaped to be multiplied.

    Attributes:
        live: 0 for members that are not stepped, else 1.
        rate: the learning rate; 0 where not live.
        decay: decoupled weight decay.
        beta1: share of the mean gradient that is kept.
        beta2: share of the mean squared gradient that is kept.
        l2: of embeddings.
        pace: learning rate of embeddings, as a share of the others'.
        drawn: pull of embeddings to where they began.
        full1: how full the mean gradient is, which was zero at first: 1 - beta1 ** steps.
        full2: how full the mean squared gradient is.
    """

    live: Tensor
    rate: Tensor
    decay: Tensor
    beta1: Tensor
    beta2: Tensor
    l2: Tensor
    pace: Tensor
    drawn: Tensor
    full1: Tensor
    full2: Tensor

    def of(self, members: Tensor, dtype: torch.dtype) -> "Steps":
        """One line for each of `members`."""
        return Steps(*(one.to(dtype)[members, None] for one in self))

    def beside(self, stack: Tensor) -> "Steps":
        """One number a member, with an axis for each further axis of its parameters."""
        return Steps(*(one.to(stack.dtype).view(-1, *[1] * (stack.dim() - 1)) for one in self))


class StackAdam(MemberAdam):
    """The same steps as `MemberAdam`, by a few calls for the whole stack instead of a few for each member.

    On a processor it is slower, since a stack does not fit its cache; on an accelerator the calls would dominate.
    Nothing waits for the device: no number is brought back from it, and no shape depends on one.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """One step of every live member."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._shorten()
        steps = self._steps()
        if self._dense:
            weights, gradient = (_in_one(tensors) for tensors in (self._dense, [one.grad for one in self._dense]))
            _adam(weights, gradient, *self._moments, steps.beside(weights))
            for parameter, stepped in zip(self._dense, _apart(weights, self._dense), strict=True):
                parameter.data.copy_(stepped)
        for table, rule in self._tables.items():
            slow = steps._replace(rate=steps.rate * steps.pace)
            if "start" in self.state[table]:
                _pull(table, self.state[table]["start"], slow, whole=isinstance(rule, WholeTable))
            _TABLES[type(rule)](table, self.state[table], slow)
        return loss

    def _cut(self) -> None:
        """Lays the moments of all dense parameters side by side, so that a few calls step them all, and keeps what does
        not change from step to step on the device."""
        members, device = len(self.steps), self.steps.device
        self._moments = [_in_one([self.state[one][name] for one in self._dense]) for name in MOMENTS]
        for name, whole in zip(MOMENTS, self._moments, strict=True):
            for parameter, own in zip(self._dense, _apart(whole, self._dense), strict=True):
                self.state[parameter][name] = own
        rates = [list(one[:members]) for one in self.rates]
        self._rates = torch.tensor(rates, dtype=torch.float64).to(device).unbind()

    def _steps(self) -> Steps:
        scale = torch.tensor(self.scale[: len(self.steps)], dtype=torch.float64).to(self.steps.device)
        rate, decay, beta1, beta2, l2, pace, drawn = self._rates
        live = self.live.double()
        self.steps += live
        # In double precision: 1 - 0.999 would lose half of its digits.
        full = 1 - beta1**self.steps, 1 - beta2**self.steps
        return Steps(live, live * scale * rate, decay, beta1, beta2, l2, pace, drawn, *full)


def _in_one(stacks: Sequence[Tensor]) -> Tensor:
    """Stacks of whatever shape side by side, `[members, numbers]`."""
    return torch.cat([one.flatten(1) for one in stacks], 1) if stacks else torch.zeros(0)


def _apart(whole: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """What stood side by side, in the shapes that it had; no copies."""
    parts = whole.split([one.shape[1:].numel() for one in like], -1) if like else ()
    return [part.view(one.shape) for part, one in zip(parts, like, strict=True)]


def _adam(rows: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, steps: Steps) -> None:
    """Adam with decoupled weight decay, in place. A member that is not live keeps its weights."""
    gradient = gradient.where(steps.live > 0, 0)  # What kept it from living may be a NaN.
    mean.lerp_(gradient, 1 - steps.beta1)
    square.lerp_(gradient.square(), 1 - steps.beta2)
    spread = (square / steps.full2).sqrt_().add_(EPSILON).mul_(steps.full1)
    rows.mul_(1 - steps.rate * steps.decay).sub_(steps.rate * mean / spread)


def _pull(table: Tensor, start: Tensor, steps: Steps, *, whole: bool) -> None:
    if whole:
        steps = steps.beside(table)
        table.data.lerp_(start, steps.rate * steps.drawn)
    else:
        rows, _, steps = _read(table, steps)
        share = (steps.rate * steps.drawn).expand(-1, table.shape[-1])
        pull(table.data.flatten(0, 1), start.flatten(0, 1), rows, share)


def _whole(table: Tensor, state: dict[str, Tensor], steps: Steps) -> None:
    steps = steps.beside(table)
    # L2 pulls at what weight decay has left, as in the calls for one member.
    gradient = _dense(table.grad).add_(table.data * steps.l2 * (1 - steps.rate * steps.decay))
    _adam(table.data, gradient, state["mean"], state["square"], steps)


def _rowwise_adam(table: Tensor, state: dict[str, Tensor], steps: Steps) -> None:
    rows, gradient, steps = _read(table, steps)
    every, flat = state["moments"].flatten(0, 1), table.data.flatten(0, 1)
    moments, read = every.index_select(0, rows), flat.index_select(0, rows)
    _adam(read, gradient, *moments.split(gradient.shape[-1], -1), steps)
    every.index_copy_(0, rows, moments)
    flat.index_copy_(0, rows, read)


def _rowwise_adagrad(table: Tensor, state: dict[str, Tensor], steps: Steps) -> None:
    rows, gradient, steps = _read(table, steps)
    gradient = gradient.where(steps.live > 0, 0)
    every, flat = state["square"].flatten(0, 1), table.data.flatten(0, 1)
    square = every.index_select(0, rows).add_(gradient.square().mean(-1, keepdim=True))
    every.index_copy_(0, rows, square)
    read = flat.index_select(0, rows).mul_(1 - steps.rate * steps.decay)
    flat.index_copy_(0, rows, read.sub_(steps.rate * gradient / square.sqrt_().add_(EPSILON)))


_TABLES = {WholeTable: _whole, RowwiseAdam: _rowwise_adam, RowwiseAdagrad: _rowwise_adagrad}


def _read(table: Tensor, steps: Steps) -> tuple[Tensor, Tensor, Steps]:
    """The rows of all tables end to end that were read, the gradient of each, and what its member's step takes.

    A row that was read several times stands there as often, each time with its whole gradient: whoever writes it last
    writes what the others do. To leave out the others, one would have to wait for their number.
    """
    member, ids = table.grad._indices()
    rows, gradient = member * table.shape[1] + ids, table.grad._values()
    reads = torch.arange(len(rows), device=rows.device)
    speaker = reads.new_empty(table.shape[:2].numel()).scatter_(0, rows, reads).index_select(0, rows)
    merged = torch.zeros_like(gradient).index_add_(0, speaker, gradient).index_select(0, speaker)
    return rows, merged, steps.of(member, table.dtype)


def _dense(gradient: Tensor) -> Tensor:
    """The gradient of every row of the tables, from that of the reads."""
    if not gradient.is_sparse:
        return gradient
    member, ids = gradient._indices()
    whole = gradient._values().new_zeros(gradient.shape)
    whole.flatten(0, 1).index_add_(0, member * gradient.shape[1] + ids, gradient._values())
    return whole
