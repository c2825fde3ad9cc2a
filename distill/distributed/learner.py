"""RankLearner: the learner of one ranker that several processes train together."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, distributed, nn
from torch.utils._pytree import tree_map, tree_map_only

from distill.distributed.adam import RankAdam, everyone
from distill.distributed.group import device_of
from distill.distributed.one import One
from distill.distributed.sharding import mesh_of, shard
from distill.learner import LIVE, Learner, Pace, accelerator
from distill.objective import Losses, Objective
from distill.recipe.trainer import Trainer
from distill.types import Batch, Features, Prediction


class RankLearner(Learner):
    """Trains one ranker on this process's part of each step.

    The loss is the mean over the rows of all processes by weight, as if one process had them all. Rows are gone
    through in several micro-batches where the trainer says so; the gradient is the same.

    Args:
        build: makes the ranker, equal on every process.
        objective: what a batch costs.
        pace: how fast and how long, of one member.
        trainer: on what.
        sample: a row, on which it is seen how the ranker runs its parts.
        load: fills tensors with what they were when the state was taken from which the training goes on.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        objective: Objective,
        pace: Pace,
        trainer: Trainer,
        sample: Features,
        load: Callable[[dict[str, Tensor]], None],
    ) -> None:
        super().__init__(lambda: One(build()), objective, pace, compiled=trainer.compile)
        self.parallel, self.sample, self.load = trainer, sample, load

    def configure_model(self) -> None:
        """Builds the ranker and cuts it up, once."""
        if self.fleet is None:
            device = device_of(accelerator(self.parallel.device))
            fleet = self.build()
            if self.parallel.tables == "torchrec":
                fleet.cut_up(device, mesh_of(device.type, self.parallel.table_shape))
            fleet = fleet.to(device)
            sample = tree_map(lambda tensor: tensor.to(device), self.sample)
            mesh = mesh_of(device.type, self.parallel.shape)
            shard(fleet.ranker, mesh, fleet.tables(), sample, recompute=self.parallel.recompute)
            self.fleet = fleet

    def configure_optimizers(self) -> RankAdam:
        """The optimizer of a stack of one, on the part that this process holds."""
        pace = self.pace
        self.parts = RankAdam(self.fleet, self.kind, pace.rates, pace.tables, pace.longest)
        self.adam = self.parts.inner
        self.costs, self.failed_at = self.costs.to(self.device), self.failed_at.to(self.device)
        if self.compiled:
            self.cost = torch.compile(self._cost)
        if self._resumed:
            state = self.state()
            self.load(state)
            self.adam.quarantine(state[LIVE])
            for table in self.fleet.cut:
                table.copies.begin()
        return self.parts

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: torch.optim.Optimizer) -> None:
        """Not between forward and backward, since micro-batches have left their gradients by then."""

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """The loss of this process's rows, of which the mean over processes is the loss of the step."""
        step = self.first_step + index
        self._keep_pace(step, 1)
        self.parts.zero_grad()
        weight = batch.weight.to(self.costs.dtype)
        weights, rows = everyone(torch.stack([weight.sum(), weight.new_tensor(weight.shape[-1])])).T
        before = int(rows[: distributed.get_rank()].sum())
        count = min(self.parallel.accumulate, int(rows.min()))
        cost, said = torch.zeros_like(self.costs), []
        for last, first, part in _cut(batch, count):
            self.fleet.set_first(before + first)
            losses, served = self._step(part, weights.sum(), last)
            cost += losses.member.detach()
            said.append(served)
        self.served = Prediction(*(torch.cat(parts, 1) for parts in zip(*said, strict=True)))
        distributed.all_reduce(cost)
        self._watch(cost / distributed.get_world_size(), step)
        return losses.total

    def on_train_batch_end(self, outputs: object, batch: Batch, batch_idx: int) -> None:
        """Copies of tables are averaged, where their time has come: between steps, and not within what a step says."""
        average = self.parallel.average
        if average and (self.first_step + batch_idx + 1) % average == 0:
            for table in self.fleet.cut:
                table.copies.average()

    @property
    def index(self) -> int | None:
        """The accelerator that this process has taken."""
        return device_of(accelerator(self.parallel.device)).index

    def agreed(self, mine: bool) -> bool:
        """Whether all processes say so."""
        everyone = torch.tensor(float(mine), device=self.device)
        distributed.all_reduce(everyone, distributed.ReduceOp.MIN)
        return bool(everyone)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "RankLearner":
        """Weights stay where they were laid when they were cut up, whatever Lightning tidies up in the end."""
        return self

    def _step(self, part: Batch, weight: Tensor, last: bool) -> tuple[Losses, Prediction]:
        """What a micro-batch costs; backward through all but the last, through which Lightning goes."""
        losses, served = self.cost(part)
        member = losses.member * part.weight.to(weight.dtype).sum(-1) / weight * distributed.get_world_size()
        self.fleet.sum_up(last)
        if not last:
            with torch.autocast(self.device.type, enabled=False):
                member.sum().backward()
        return Losses(member.sum(), member), served

    def _keep_pace(self, step: int, live: int) -> None:
        super()._keep_pace(step, live)
        for table in self.fleet.cut:
            table.set_rate(self.adam.scale[0] * self.pace.rates.learning_rate[0])

    def _goes_on(self) -> dict[str, Tensor]:
        parts = {name: part for table in self.fleet.cut for name, part in table.snapshot().items()}
        return self.parts.snapshot() | parts | {"costs": self.costs}

    def state(self) -> dict[str, Tensor]:
        """Everything that training goes on from, cut up as the weights are."""
        whole = {name: buffer for name, buffer in self.fleet.state_dict().items() if name not in self.parts.names}
        return self._goes_on() | whole | {LIVE: self.adam.live}


def _cut(batch: Batch, count: int) -> Iterator[tuple[bool, int, Batch]]:
    """Micro-batches, each with whether it is the last and with its first row."""
    rows = batch.weight.shape[-1]
    edges = [number * rows // count for number in range(count + 1)]
    for number in range(count):
        part = slice(edges[number], edges[number + 1])
        yield number == count - 1, part.start, batch if count == 1 else _rows(batch, part)


def _rows(batch: Batch, part: slice) -> Batch:
    return tree_map_only(Tensor, lambda tensor: tensor[:, part], batch)
