"""Feed: from row numbers to batches, with what the teacher said of the rows."""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from itertools import repeat
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from distill.data.impressions import View
from distill.knowledge import Knowledge
from distill.sampling import FILL, WHOLE, Part
from distill.standing import Standing
from distill.types import Batch, Features, Prediction, Signal

Predict = Callable[[Features], Prediction]
"""A ranker in evaluation mode, or one member of a fleet."""

CHUNK = 8192
"""Rows scored at once: enough to fill the processor, few enough for its caches."""


GATHERED = 16_384
"""Rows gathered at once where steps are smaller: as many as in a step of a whole stack, so that no call is for few."""


@torch.no_grad()
def predictions(
    predict: Predict, view: View, rows: np.ndarray, correction: float = 0.0
) -> Iterator[tuple[np.ndarray, Prediction]]:
    """What a ranker says of `rows`, in chunks with their row numbers.

    Args:
        predict: the ranker.
        view: what it sees.
        rows: row numbers.
        correction: added to its log-odds, where it has learnt from a share of the negatives only.
    """
    for first in range(0, len(rows), CHUNK):
        chunk = rows[first : first + CHUNK]
        said = predict(view.take(torch.from_numpy(chunk)).features)
        yield chunk, Prediction(said.logit.cpu() + correction, said.representation.cpu())


@torch.no_grad()
def logits(
    predict: Predict, view: View, rows: Sequence[np.ndarray], correction: float = 0.0
) -> list[Float[Tensor, "rows tasks"]]:
    """What the members of a stack say, each of rows of its own.

    Args:
        predict: the stack, in evaluation mode.
        view: the features.
        rows: of each member.
        correction: as for `predictions`.
    """
    table = np.full((len(rows), max(map(len, rows))), FILL)
    for own, numbers in zip(table, rows, strict=True):
        own[: len(numbers)] = numbers
    size = max(1, CHUNK // len(rows))
    steps = torch.from_numpy(table).split(size, 1) if table.size else ()
    said = [torch.zeros(len(rows), 0, len(view.settings.tasks))]
    said += [predict(view.take(step).features).logit.cpu() for step in steps]
    return [own[: len(numbers)] for own, numbers in zip(torch.cat(said, 1) + correction, rows, strict=True)]


class Feed:
    """The batches of a whole training, one for each step.

    Args:
        view: the features, as the learner may see them.
        steps: the row numbers of each step, `[members, rows]`.
        seeds: each member's seed, from which ids are hidden at the rates that the recipe gives.
        knowledge: what there is to learn from, by name of the source.
        first: number of the first step that `steps` yields.
        representation: whether the teacher's representations are needed.
        heard: added to the teacher's log-odds, so that they speak of rows as the learner meets them.
        standing: how the sources stood shortly before each row, where the learner asks for it.
        group: number of the user or session of every row of the data, where a loss compares rows of one.
        part: which part of each step is taken.
    """

    def __init__(
        self,
        view: View,
        steps: Iterable[Int[Tensor, "members rows"]],
        seeds: Sequence[int],
        knowledge: Mapping[str, Knowledge] | None = None,
        first: int = 0,
        heard: float = 0.0,
        representation: bool = False,
        standing: Standing | None = None,
        group: np.ndarray | None = None,
        part: Part = WHOLE,
    ) -> None:
        self.view, self.steps, self.seeds, self.first, self.part = view, steps, seeds, first, part
        self.knowledge, self.heard, self.representation = knowledge or {}, heard, representation
        self.standing, self.group = standing, None if group is None else torch.from_numpy(group)

    def __iter__(self) -> Iterator[Batch]:
        """Gathers the rows of several small steps, or of one large one, at once."""
        pairs = (pair for group in _grouped(self.steps) for pair in zip(group, self._gathered(group), strict=True))
        for step, (whole, batch) in enumerate(pairs, self.first):
            yield self._hide(batch, step, whole.shape[-1]) if self.view.hide.any else batch

    @property
    def size(self) -> int:
        """Bytes of all that batches are gathered from."""
        return self.view.size + sum(table.size for table in self.knowledge.values())

    def on(self, device: torch.device) -> "Feed":
        """The same batches, gathered from copies on a device; only row numbers go there from now on."""
        there = copy.copy(self)
        there.view = self.view.on(device)
        there.knowledge = {name: table.on(device) for name, table in self.knowledge.items()}
        return there

    def __len__(self) -> int:
        """Number of steps."""
        assert isinstance(self.steps, Sized)
        return len(self.steps)

    def _gathered(self, group: Sequence[Int[Tensor, "members rows"]]) -> Iterator[Batch]:
        """The batches of some steps, as far as they are ours."""
        own = [self._own(rows) for rows in group]
        if len(own) == 1:
            yield self._take(own[0])
        else:
            yield from _cut(self._take(torch.cat([rows.flatten() for rows in own])), [rows.shape for rows in own])

    def _own(self, whole: Int[Tensor, "members rows"]) -> Int[Tensor, "members rows"]:
        """Our part of a step, or a fill where it has too few rows for all."""
        own = self.part.of(whole.shape[-1])
        return whole[:, own] if own.stop > own.start else whole.new_full((len(whole), 1), FILL)

    def _take(self, rows: Int[Tensor, "*members rows"]) -> Batch:
        heard = {name: self._hear(table, rows) for name, table in self.knowledge.items()}
        stood = self.standing.at(rows) if self.standing else {}
        group = None if self.group is None else self.group[rows]
        return self.view.take(rows)._replace(knowledge=heard, standing=stood, group=group)

    def _hear(self, table: Knowledge, rows: Int[Tensor, "*members rows"]) -> Signal:
        said, covered = table.take(rows, representation=self.representation)
        return Signal(said._replace(logit=said.logit + self.heard) if self.heard else said, covered)

    def _hide(self, batch: Batch, step: int, rows: int) -> Batch:
        own, seeds = self.part.of(rows), self.seeds[: len(batch.label)]
        if own.stop == own.start:
            return batch
        return batch._replace(features=self.view.hide.apply(batch.features, seeds, step, rows, own))


def _grouped(steps: Iterable[Int[Tensor, "members rows"]]) -> Iterator[list[Int[Tensor, "members rows"]]]:
    """As many steps together as have `GATHERED` rows."""
    group: list[Tensor] = []
    for rows in steps:
        group.append(rows)
        if sum(map(torch.numel, group)) >= GATHERED:
            yield group
            group = []
    if group:
        yield group


def _cut(whole: Any, shapes: Sequence[torch.Size]) -> Iterator[Any]:
    """Batches whose rows stand one behind the other, taken apart; none is copied.

    Whatever holds tensors is rebuilt for each step. (torch's own trees do that too, in twenty times the time, which is
    a fifth of what it takes to gather a step of 1,024 rows.)
    """
    if isinstance(whole, Tensor):
        return iter(_parts(whole, shapes))
    if isinstance(whole, Mapping):
        held = [_cut(part, shapes) for part in whole.values()]
        return (dict(zip(whole, parts, strict=True)) for parts in _each(held, shapes))
    if isinstance(whole, tuple):
        return map(type(whole)._make, _each([_cut(part, shapes) for part in whole], shapes))
    return repeat(whole, len(shapes))  # Rows without groups.


def _each(held: Sequence[Iterator[Any]], shapes: Sequence[torch.Size]) -> Iterator[tuple[Any, ...]]:
    """What stands in one step, step by step; nothing in each of them where nothing is held."""
    return zip(*held, strict=True) if held else repeat((), len(shapes))


def _parts(whole: Tensor, shapes: Sequence[torch.Size]) -> Sequence[Tensor]:
    if len(set(shapes)) == 1:
        return whole.unflatten(0, (len(shapes), *shapes[0])).unbind()
    parts = whole.split([shape.numel() for shape in shapes])
    return [part.unflatten(0, shape) for part, shape in zip(parts, shapes, strict=True)]
