"""MemberAdam: Adam over a stack, with settings of its own for each member."""

from collections.abc import Callable, Collection, Iterable, Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from distill.optimizer.clipping import clip
from distill.optimizer.fused import adam
from distill.optimizer.rates import Rates, Step
from distill.optimizer.tables import RULES, Tables, WholeTable, pull


class MemberAdam(torch.optim.Optimizer):
    """AdamW on parameters with a leading members axis; every setting is a number of the member.

    Members are stepped one after another, each on its slices of the stack: a member's update is the one it would get
    alone, and its tensors stay in the processor's cache meanwhile. A member that is not `live` is left as it is.

    Args:
        parameters: stacked parameters, `[members, ...]` each.
        rates: learning rates and the like.
        tables: those of the parameters whose gradient is a sparse tensor of the rows that were read.
        rule: how tables are stepped.
        longest: norm of a member's gradient above which it is shortened; None leaves all as they are.

    Attributes:
        shared: adds up squares over processes that hold other parts of the same parameters.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        rates: Rates,
        tables: Collection[nn.Parameter] = (),
        rule: Tables = "adam",
        longest: float | None = None,
    ) -> None:
        super().__init__(parameters, {})
        self.rates, self.longest = rates, longest
        self.shared: Callable[[Tensor], Tensor] = lambda squares: squares
        self.scale: list[float] = [1.0] * len(rates.learning_rate)
        every = [parameter for group in self.param_groups for parameter in group["params"]]
        self.steps = torch.zeros(len(rates.learning_rate), device=every[0].device)
        self.live = torch.ones_like(self.steps, dtype=torch.bool)
        read = {id(table) for table in tables}
        self._dense = [parameter for parameter in every if id(parameter) not in read]
        self._tables = {parameter: RULES[rule](parameter.data) for parameter in every if id(parameter) in read}
        for parameter in self._dense:
            self.state[parameter] = {"mean": torch.zeros_like(parameter), "square": torch.zeros_like(parameter)}
        for parameter, table in self._tables.items():
            self.state[parameter] = table.state
            if any(rates.table_pull):
                self.state[parameter] = table.state | {"start": parameter.detach().clone()}
        self._cut()

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """One step of every live member."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._shorten()
        self.steps += self.live
        live = self.live.tolist()
        gradients = list(zip(*(parameter.grad.unbind() for parameter in self._dense), strict=True))
        reads = [_reads(table.grad) for table in self._tables]
        for member, (rate, *rest, pace, drawn, number) in enumerate(
            zip(*self.rates, self.steps.unbind(), strict=False)
        ):
            if live[member]:
                step = Step(rate * self.scale[member], *rest, number)
                slow = step._replace(learning_rate=step.learning_rate * pace)
                if gradients:
                    adam(self._own[member][0], gradients[member], *self._own[member][1:], step)
                for rule, own, (ids, rows) in zip(self._tables.values(), self._own_tables[member], reads, strict=True):
                    if drawn:
                        read = None if isinstance(rule, WholeTable) else ids[member]
                        pull(own[0], own[1]["start"], read, slow.learning_rate * drawn)
                    rule.step(*own, ids[member], rows[member], slow)
        return loss

    def narrow(self, members: int) -> None:
        """Forgets all but the first `members`; the fleet's own `narrow` must have gone before."""
        for state in self.state.values():
            for name, tensor in state.items():
                state[name] = tensor[:members]
        self.steps, self.live = self.steps[:members], self.live[:members]
        self._cut()

    def snapshot(self) -> dict[str, Tensor]:
        """The tensors that the next step depends on, by name; copying into them resumes."""
        every = enumerate([*self._dense, *self._tables])
        return {f"{name}/{place}": self.state[one][name] for place, one in every for name in self.state[one]} | {
            "steps": self.steps
        }

    def quarantine(self, healthy: Bool[Tensor, " members"]) -> None:
        """Never steps a member again that is not healthy. Nobody waits for a device to say which."""
        self.live = self.live & healthy.to(self.live.device)

    def _shorten(self) -> None:
        if self.longest is not None:
            clip(self._dense, self._tables, self.longest, self.shared, torch.zeros_like(self.steps))

    def _cut(self) -> None:
        """Cuts each member's slices out of every tensor. Once a stack: a view costs as much as a small kernel."""
        members = range(len(self.steps))
        dense = [(one.data, *self.state[one].values()) for one in self._dense]
        self._own = [[[tensors[kind][member] for tensors in dense] for kind in range(3)] for member in members]
        self._own_tables = [
            [
                (table.data[member], {name: tensor[member] for name, tensor in self.state[table].items()})
                for table in self._tables
            ]
            for member in members
        ]


def _reads(gradient: Tensor) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """What each member read, `[reads]`, and the gradients of it, `[reads, width]`, from the gradient of a stack."""
    member, ids = gradient._indices()
    rows, members = gradient._values(), gradient.shape[0]
    if len(ids) % members == 0 and _in_order(member, members):
        return ids.view(members, -1).unbind(), rows.view(members, -1, rows.shape[-1]).unbind()
    # Several reads of one table: torch has put them together in an order of its own, some of them already added up.
    order, counts = member.argsort(stable=True), member.bincount(minlength=members).tolist()
    return ids[order].split(counts), rows[order].split(counts)


def _in_order(member: Int[Tensor, " reads"], members: int) -> bool:
    """Whether the reads stand one member after the other, equally many each."""
    expected = torch.arange(members, device=member.device)
    return bool((member.view(members, -1) == expected[:, None]).all())
