"""Learner: the one LightningModule, for whoever learns, teacher or fleet of students."""

import logging
import os
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.accelerators import AcceleratorRegistry
from torch import Tensor

from distill.ahead import Ahead
from distill.errors import Fault, RecipeError, suggestion
from distill.feed import Feed
from distill.fleet import Fleet
from distill.objective import Losses, Moment, Objective
from distill.optimizer import MemberAdam, Rates, StackAdam, Tables
from distill.types import Batch, Prediction

Precision = Literal["fp32", "bf16"]
_PLUGINS: dict[Precision, Literal["32-true", "bf16-mixed"]] = {"fp32": "32-true", "bf16": "bf16-mixed"}

NEVER = -1
"""Stands for the step at which a member fails that does not."""

SLOWER = 0.1
"""What is left of a learning rate after a pass that brought nothing, where it is kept as long as passes do."""

ROOM = 0.5
"""Share of an accelerator's free memory that rows may take; where they take less, they are gathered there."""

LIVE = "live"
"""Name, in a state, of the members that are still in the stack: whether each is sound."""


class Pace(NamedTuple):
    """How fast each member learns, and for how long: vectors over members, since settings may differ in a fleet."""

    rates: Rates
    steps: Int[Tensor, " members"]
    seeds: tuple[int, ...]
    schedule: Literal["linear", "constant", "plateau"]
    tables: Tables = "adam"
    """How tables of embeddings are stepped."""
    longest: float | None = None
    """Norm of a member's gradient above which it is shortened; None leaves all as they are."""

    def scale(self, step: int, setbacks: Sequence[int]) -> list[float]:
        """The share of each member's learning rate that is left.

        Args:
            step: which.
            setbacks: passes of each member before it that brought nothing.
        """
        if self.schedule == "plateau":
            return [SLOWER**count for count in setbacks]
        if self.schedule == "constant":
            return [1.0] * len(self.steps)
        return (1 - step / self.steps).clamp_min(0).tolist()


class Learner(LightningModule):
    """Trains a fleet, one batch a step. Thin: what is learnt stands in the objective, from what in the batch.

    A member that is done leaves the stack with the first batch that has no rows for it. A member whose loss is no
    longer finite is never stepped again; it stays in its place, so that nothing changes for the others.

    Args:
        build: makes the fleet; called in `configure_model`, so that a strategy may shard it.
        objective: what a batch costs.
        pace: how fast and how long.
        heads: makes the fleet of auxiliary heads, if the teacher marks one.
        adapters: makes the fleet of adapters, if they refine what the teacher says.
        compiled: whether torch.compile makes one program of forward, objective and backward; on an accelerator its
            calls are recorded once and replayed (CUDA graphs), so that a step is not held up by who calls.

    Attributes:
        served: what the members said in the last step, before they learnt from it.
        setbacks: passes of each member that brought nothing, kept up to date by whoever judges them.
    """

    def __init__(
        self,
        build: Callable[[], Fleet],
        objective: Objective,
        pace: Pace,
        heads: Callable[[], Fleet] | None = None,
        adapters: Callable[[], Fleet] | None = None,
        *,
        compiled: bool = False,
    ) -> None:
        super().__init__()
        self.build, self.build_heads, self.build_adapters = build, heads, adapters
        self.objective, self.pace = objective, pace
        self.fleet: Fleet | None = None
        self.heads: Fleet | None = None
        self.adapters: Fleet | None = None
        self.failed_at = torch.full((len(pace.seeds),), NEVER)
        self.first_step = 0
        self._resumed: dict[str, Tensor] = {}
        self.costs = torch.zeros(len(pace.seeds))
        self.served: Prediction | None = None
        self.setbacks: Sequence[int] = [0] * len(pace.seeds)
        self.compiled, self.cost = compiled, self._cost

    def configure_model(self) -> None:
        """Builds the fleet, once; on the processor, whose random numbers every other device begins with too."""
        if self.fleet is None:
            with torch.device("cpu"):
                self.fleet = self.build()
                self.heads = self.build_heads() if self.build_heads else None
                self.adapters = self.build_adapters() if self.build_adapters else None

    def configure_optimizers(self) -> MemberAdam:
        """Adam with the settings of each member."""
        pace = self.pace
        whole = self.compiled and self.kind is StackAdam and pace.tables == "adam"
        tables = self.fleet.tables(sparse=not whole)
        self.adam = self.kind(self.parameters(), pace.rates, tables, pace.tables, pace.longest)
        self.costs, self.failed_at = self.costs.to(self.device), self.failed_at.to(self.device)
        if self.compiled:
            self.cost = torch.compile(self._cost, mode=None if self.device.type == "cpu" else "reduce-overhead")
        if self._resumed:
            self._narrow(len(self._resumed[LIVE]))
            self.adam.quarantine(self._resumed[LIVE])
            for name, tensor in self._goes_on().items():
                tensor.data.copy_(self._resumed[name])
        return self.adam

    @property
    def kind(self) -> type[MemberAdam]:
        """The optimizer that suits the device."""
        return MemberAdam if self.device.type == "cpu" else StackAdam

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """The loss of one batch, summed over members."""
        self._keep_pace(self.first_step + index, len(batch.weight))
        self.fleet.set_rows(batch.weight)
        if self.compiled:
            self._get_ready(batch, first=index == 0)
        losses, self.served = self.cost(batch, self._progress(self.first_step + index, len(batch.weight)))
        self._watch(losses.member.detach(), self.first_step + index)
        return losses.total

    def on_after_backward(self) -> None:
        """Tells of weights that nothing comes of, which the optimizer would stumble over.

        Raises:
            RecipeError: there are some.
        """
        silent = [name for name, weight in self.named_parameters() if weight.grad is None]
        if silent:
            names = ", ".join(name.rpartition(":")[2].replace("/", ".") for name in silent)  # As the ranker calls them.
            raise RecipeError(Fault("model", f"no gradient reaches {names}.", "Take out what is not used."))

    @property
    def index(self) -> int | None:
        """Which of several accelerators it trains on; any where None."""
        return None

    def agreed(self, mine: bool) -> bool:
        """Whether all processes that train this one say so."""
        return mine

    def state(self) -> dict[str, Tensor]:
        """Everything that training goes on from: weights, moments, and who is still in the stack and sound."""
        return {name: one.detach().contiguous() for name, one in self._goes_on().items()} | {LIVE: self.adam.live}

    def resume(self, state: dict[str, Tensor], step: int, failed: Mapping[int, int] = MappingProxyType({})) -> None:
        """Goes on from `state`, which was taken before `step`; takes effect when the optimizer is made."""
        self._resumed, self.first_step = state, step
        for member, at in failed.items():
            self.failed_at[member] = at

    @property
    def failed(self) -> dict[int, int]:
        """Place of each member whose loss was no longer finite -> at which step; asking waits for the device."""
        return {member: step for member, step in enumerate(self.failed_at.tolist()) if step != NEVER}

    def _cost(self, batch: Batch, progress: Tensor | None = None) -> tuple[Losses, Prediction]:
        served = self.fleet(batch.features)
        taught = self.heads(served) if self.heads else served
        losses = self.objective(served, taught, batch, Moment(progress, self.adapters))
        # Let go of inside: a program that is compiled would go backward through these too.
        return losses, Prediction(*(said.detach() for said in served))

    def _progress(self, step: int, live: int) -> Float[Tensor, " members"] | None:
        """The share of its steps that each member has behind it, where a weight depends on it."""
        if self.objective.schedule is None:
            return None
        return (step / self.pace.steps[:live].float()).clamp_max(1).to(self.device)

    @torch.no_grad()
    def _get_ready(self, batch: Batch, first: bool) -> None:
        """Lets the fleets try out how they run before a program is made of that; what the last run left may go."""
        if first:
            self._cost(batch)
        torch.compiler.cudagraph_mark_step_begin()

    def _goes_on(self) -> dict[str, Tensor]:
        moments = {f"adam/{name}": moment for name, moment in self.adam.snapshot().items()}
        taken_down = {name: one for name, one in self.named_buffers() if one.is_floating_point()}
        return dict(self.named_parameters()) | taken_down | moments | {"costs": self.costs}

    def _narrow(self, live: int) -> None:
        if live < len(self.fleet):
            for stack in filter(None, (self.fleet, self.heads, self.adapters)):
                stack.narrow(live)
            self.adam.narrow(live)

    def _keep_pace(self, step: int, live: int) -> None:
        self._narrow(live)
        self.adam.scale = self.pace.scale(step, self.setbacks)
        self.fleet.set_clock(torch.tensor([[seed, step] for seed in self.pace.seeds[:live]]))

    def _watch(self, cost: Float[Tensor, " members"], step: int) -> None:
        healthy = cost.isfinite()
        self.adam.quarantine(healthy)
        at = self.failed_at[: len(cost)]
        at.masked_fill_(~healthy & (at == NEVER), step)
        self.costs[: len(cost)] += cost.nan_to_num(0.0)


def accelerator(device: str) -> str:
    """Name of the accelerator that `device` stands for.

    Raises:
        RecipeError: there is none of that name, or none in this machine.
    """
    if device == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        return found.type if found else "cpu"
    names = sorted(AcceleratorRegistry.available_accelerators())
    if device not in names:
        raise RecipeError(Fault("trainer.device", f'"{device}" is no accelerator.', suggestion(device, names)))
    if not AcceleratorRegistry.get(device).is_available():
        raise RecipeError(
            Fault("trainer.device", f"this machine has no {device} device.", "Leave it out, or say auto.")
        )
    return device


def keep_programs(folder: Path) -> None:
    """Lets torch.compile keep its programs in a folder, for this process and those that it starts.

    Who has named a folder of his own keeps it.
    """
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder.absolute()))


def train(
    learner: Learner,
    batches: Collection[Batch],
    callbacks: list[Callback],
    device: str = "auto",
    precision: Precision = "fp32",
    index: int | None = None,
) -> None:
    """Fits a learner to batches, one pass of which is the whole training.

    Args:
        learner: takes the batches as they come.
        batches: one for each step.
        callbacks: what happens beside it.
        device: name of Lightning's accelerator.
        precision: of products.
        index: which of several accelerators; any where None.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # It advertises, and it lists what is switched off.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")
        # Barebones: a fleet's step is short, and whatever the trainer does besides is a large share of it.
        trainer = Trainer(
            accelerator=device,
            devices=1 if index is None else [index],
            precision=_PLUGINS[precision],
            max_epochs=1,
            callbacks=callbacks,
            barebones=True,
        )
        root = trainer.strategy.root_device
        if root.type == "cpu":
            trainer.fit(learner, batches)
        elif isinstance(batches, Feed) and batches.size < ROOM * _free(root):
            trainer.fit(learner, batches.on(root))
        else:
            with closing(Ahead(batches, pinned=root.type != "mps")) as coming:  # Which shares the processor's memory.
                trainer.fit(learner, coming)


def _free(device: torch.device) -> int:
    """Bytes that a device has left; none where it does not say."""
    module = torch.get_device_module(device)
    return module.mem_get_info(device)[0] if hasattr(module, "mem_get_info") else 0
