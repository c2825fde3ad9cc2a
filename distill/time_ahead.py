"""Scores ahead: what a teacher says of each block of rows before it learns from it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor

from distill.feed import Predict
from distill.knowledge import KnowledgeWriter
from distill.learner import Learner
from distill.sampling import Block
from distill.types import Prediction

BLOCKS, GROUP, TRIED = "blocks", "group", "tried"
"""Names under which a snapshot says how many blocks its ranker has learnt from, whose rows they are of, and how often
it said the same while training as when it is asked."""

TRIALS = 3
"""Blocks on which that is tried out. More than one, since a part that begins at zero hides a difference at first."""

DIFFERS = -1
"""In place of how often it said the same: it does not."""

CLOSE = 1e-5
"""Difference of log-odds, and of representations, that is rounding."""


class ScoreAhead(Callback):
    """Scores each block with the teacher as it is before it learns from it, and commits scores and teacher together.

    A block that is learnt from in one step is scored by the forward pass of that very step, which costs nothing,
    where the teacher says the same while it trains as when it is asked: not with dropout, nor in low precision.
    Whether it does is tried out on a few blocks; every other block takes a forward pass of its own.

    Args:
        blocks: what is left to score and to learn from, in time order.
        score: asks a ranker and puts down what it says; told whether that is fit to learn from.
        put: puts down what a ranker has said in a step, `[1, rows, ...]`; likewise.
        writer: commits.
        shard_rows: rows after which a shard is committed.
        done: blocks that went before. The very first block is scored by an untrained teacher and not covered.
        group: number of the group whose rows they are of.
        tried: how often it has said the same so far, or `DIFFERS`.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        score: Callable[[Predict, np.ndarray, bool], None],
        put: Callable[[Prediction, np.ndarray, bool], None],
        writer: KnowledgeWriter,
        shard_rows: int,
        done: int,
        group: int = 0,
        tried: int = 0,
    ) -> None:
        self.score, self.put, self.writer, self.shard_rows = score, put, writer, shard_rows
        self.done, self.group, self.tried = done, group, tried
        self.opens: dict[int, Block] = {}
        self.closes: set[int] = set()
        self.open_rows = step = 0
        for block in blocks:
            self.opens[step] = block
            step += len(block.batches)
            self.closes.add(step - 1)
        self.last = step - 1
        self._listening: Block | None = None
        self._asked: Prediction | None = None

    @torch.no_grad()
    def on_train_batch_start(self, trainer: Trainer, learner: Learner, batch: Any, batch_idx: int) -> None:
        """Scores the block that begins with this step, unless the step does."""
        self._listening = self._asked = None
        block = self.opens.get(batch_idx)
        if block is None:
            return
        self.open_rows += len(block.rows)
        whole = len(block.batches) == 1 and len(block.batches[0]) == len(block.rows)
        if whole and self.tried >= TRIALS:
            self._listening = block
            return
        with self.writer.spent.on("evaluation"):
            learner.fleet.eval()
            self.score(partial(learner.fleet.alone, 0), block.rows, self.done > 0)
            if whole and self.done > 0 and self.tried != DIFFERS:
                self._asked = learner.fleet(batch.features)
            learner.fleet.train()

    def on_train_batch_end(self, trainer: Trainer, learner: Learner, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Puts down what the step said, and commits at the end of a block, once enough rows are scored."""
        if self._listening is not None:
            with self.writer.spent.on("evaluation"):
                self.put(learner.served, self._listening.batches[0], self.done > 0)
        if self._asked is not None:
            self.tried = self.tried + 1 if learner.agreed(_same(self._asked, learner.served)) else DIFFERS
        if batch_idx not in self.closes:
            return
        self.done += 1
        if self.open_rows >= self.shard_rows or batch_idx == self.last:
            with self.writer.spent.on("checkpoint"):
                self.writer.commit(learner.state() | self._place())
            self.open_rows = 0

    def _place(self) -> dict[str, Tensor]:
        place = {BLOCKS: self.done, GROUP: self.group, TRIED: self.tried}
        return {name: torch.tensor(number) for name, number in place.items()}


def _same(asked: Prediction, served: Prediction) -> bool:
    return all(torch.allclose(a, b, CLOSE, CLOSE) for a, b in zip(asked, served, strict=True))
