"""Counts what the collectives of a training step send, as rings would send it."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed
from torch._C._distributed_c10d import ProcessGroup
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from distill.distributed import RankLearner
from distill.distributed.adam import RankAdam
from distill.rack.traffic import Traffic

SETTLED = 8
"""Steps before those that are counted: by then scores come from the training pass."""


class Sent(TorchDispatchMode):
    """Bytes that this process sends in the steps of a learner.

    Attributes:
        bytes: kind -> so far.
        steps: so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes: Counter[str] = Counter()
        self.begun = self.steps = 0
        self._listening = self._averaging = False

    def __torch_dispatch__(
        self, operation: OpOverload, types: tuple[type, ...], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if self._listening and operation.namespace == "c10d":
            kind, sent = _ring(operation.name().removeprefix("c10d::"), args)
            self.bytes["tables" if self._averaging else kind] += sent
        return operation(*args, **(kwargs or {}))

    def listen(self, work: Callable[[], object]) -> None:
        """Counts while something works, from the first line of a training step to the last one of the optimizer, and
        while copies of tables are averaged after it."""
        training_step, step, average = RankLearner.training_step, RankAdam.step, RankLearner.on_train_batch_end

        def begun(learner: RankLearner, batch: Any, index: int) -> Tensor:
            self.begun += 1
            self._listening = self.begun > SETTLED
            return training_step(learner, batch, index)

        def ended(adam: RankAdam, closure: Any = None) -> Any:
            loss = step(adam, closure)
            self.steps += self._listening
            self._listening = False
            return loss

        def averaged(learner: RankLearner, outputs: Any, batch: Any, index: int) -> None:
            self._averaging = self._listening = self.begun > SETTLED
            average(learner, outputs, batch, index)
            self._averaging = self._listening = False

        RankLearner.training_step, RankAdam.step, RankLearner.on_train_batch_end = begun, ended, averaged
        with self:
            work()

    def write(self, folder: Path) -> None:
        """What a step sends, by kind."""
        a_step = {kind: sent / self.steps for kind, sent in self.bytes.items()}
        (folder / f"sent{distributed.get_rank()}.json").write_text(json.dumps(a_step))


def counted(folder: Path) -> Traffic:
    """What one process has sent in a step, the mean over processes."""
    files = [json.loads(path.read_text()) for path in folder.glob("sent*.json")]
    return Traffic(**{kind: sum(one.get(kind, 0) for one in files) / len(files) for kind in Traffic._fields})


def _ring(name: str, args: tuple[Any, ...]) -> tuple[str, float]:
    """The kind of a collective, and what each of its processes sends.

    Weights and gradients of the dense part go by the collectives that fill one tensor; ids and rows by the others.
    """
    group = next(ProcessGroup.unbox(one) for one in args if isinstance(one, torch.ScriptObject) and _is_group(one))
    tensors = [one for one in tree_leaves(args) if isinstance(one, Tensor)]
    devices = group.size()
    others = (devices - 1) / devices
    largest = max(one.nbytes for one in tensors)
    kind = "rows" if tensors[0].is_floating_point() else "ids"
    if name == "_allgather_base_":
        return "gather", others * largest
    if name == "_reduce_scatter_base_":
        return "scatter", others * largest
    if name == "allreduce_":
        return "reduce", 2 * others * largest
    if name == "allgather_":
        return kind, (devices - 1) * tensors[-1].nbytes
    assert name == "alltoall_base_", name
    return kind, _to_others(args, tensors[1], group)


def _to_others(args: tuple[Any, ...], given: Tensor, group: ProcessGroup) -> float:
    """Of an exchange, what is not for the process itself."""
    lengths = args[4] or [1] * group.size()
    return given.nbytes * (1 - lengths[group.rank()] / sum(lengths)) if sum(lengths) else 0.0


def _is_group(one: torch.ScriptObject) -> bool:
    return one._type().name() == "ProcessGroup"
