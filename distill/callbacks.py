"""What happens beside training, each a Lightning callback: keeping rankers, saving, showing progress."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, NamedTuple

from lightning.pytorch import Callback, Trainer
from torch import Tensor

from distill.fleet import Fleet
from distill.learner import Learner
from distill.spent import Spent


class Pass(NamedTuple):
    """A pass over the rows of one member, at its end.

    Attributes:
        member: place in the stack.
        number: of the pass, from 1.
        loss: mean training loss over its steps, in nats.
    """

    member: int
    number: int
    loss: float


class Passes(Callback):
    """Hands over each member at the end of each of its passes.

    Args:
        pass_steps: steps of one pass of each member.
        keep: called with all passes that end with one step, and the fleet as it then is, in evaluation mode.
    """

    def __init__(self, pass_steps: Tensor, keep: Callable[[list[Pass], Fleet], None]) -> None:
        self.pass_steps, self.keep = pass_steps, keep

    def on_train_batch_end(self, trainer: Trainer, learner: Learner, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Hands over the members whose pass ends with this step."""
        live, steps_done = len(learner.fleet), learner.first_step + batch_idx + 1
        done = (steps_done % self.pass_steps[:live] == 0).nonzero().flatten()
        if len(done):
            steps, costs = self.pass_steps[done], learner.costs[done].tolist()
            learner.costs[done] = 0
            numbers = (steps_done // steps).tolist()
            losses = [cost / count for cost, count in zip(costs, steps.tolist(), strict=True)]
            self.keep(list(map(Pass, done.tolist(), numbers, losses)), learner.fleet.eval())
            learner.fleet.train()


class Checkpoint(Callback):
    """Saves a training now and then, so that a killed one loses no more than that.

    Asked to stop, by Ctrl-C or by who started a worker, it finishes the step, saves and ends; asked twice, at once.

    Args:
        save: called with the learner and the number of steps that are done.
        every: seconds between two of them.
    """

    def __init__(self, save: Callable[[Learner, int], None], every: float) -> None:
        self.save, self.every = save, every
        self.last = time.monotonic()
        self.asked = False
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: Trainer, learner: Learner) -> None:
        """Listens, where nobody has said to ignore it."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._ask)

    def on_train_batch_end(self, trainer: Trainer, learner: Learner, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Saves, if it is time."""
        if self.asked or time.monotonic() - self.last >= self.every:
            self.save(learner, learner.first_step + batch_idx + 1)
            self.last = time.monotonic()
        if self.asked:
            raise KeyboardInterrupt

    def teardown(self, trainer: Trainer, learner: Learner, stage: str) -> None:
        """Listens no more."""
        while self._before:
            signal.signal(*self._before.popitem())

    def on_exception(self, trainer: Trainer, learner: Learner, exception: BaseException) -> None:
        """Likewise: an interrupted training has no teardown."""
        self.teardown(trainer, learner, "fit")

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


class Timing(Callback):
    """Takes down what a training spends its time on. First of the callbacks, since the others spend some too.

    Args:
        spent: where it is taken down.
        compiled: whether the first step compiles.
    """

    def __init__(self, spent: Spent, *, compiled: bool) -> None:
        self.spent, self.compiled = spent, compiled

    def on_train_start(self, trainer: Trainer, learner: Learner) -> None:
        """Waits for the first batch."""
        self.spent.turn("data")

    def on_train_batch_start(self, trainer: Trainer, learner: Learner, batch: Any, batch_idx: int) -> None:
        """The batch is there."""
        self.spent.turn("compile" if self.compiled and batch_idx == 0 else "training")

    def on_train_batch_end(self, trainer: Trainer, learner: Learner, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Waits for the next one."""
        self.spent.stepped()
        self.spent.turn("data")

    def on_train_end(self, trainer: Trainer, learner: Learner) -> None:
        """What comes now is scoring."""
        self.spent.turn("evaluation")


class Advance(Callback):
    """Tells somebody, after each step, how many rows it had.

    Args:
        tell: called with the number of rows.
    """

    def __init__(self, tell: Callable[[int], None]) -> None:
        self.tell = tell

    def on_train_batch_end(self, trainer: Trainer, learner: Learner, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Counts the rows of every member."""
        self.tell(int((batch.weight > 0).sum()))
