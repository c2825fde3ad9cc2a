"""Which rows a learner sees at each step. Functions of the rows and of a member's seed alone, never of the stack."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from distill.fingerprint import derived_seed

FILL = -1
"""Stands where a member has fewer rows than the batch has places."""


class Part(NamedTuple):
    """Which part of each step one process of a group takes: consecutive rows, as many as the others' or one more.

    Attributes:
        rank: number of the process.
        ranks: how many there are.
    """

    rank: int = 0
    ranks: int = 1

    def of(self, rows: int) -> slice:
        """Its part of so many rows.

        Example:
            >>> [Part(rank, 3).of(8) for rank in range(3)]
            [slice(0, 2, None), slice(2, 5, None), slice(5, 8, None)]
        """
        return slice(self.rank * rows // self.ranks, (self.rank + 1) * rows // self.ranks)


WHOLE = Part()
"""All of it, as one process alone takes it."""


def pass_steps(rows: int, batch: int, least: int) -> int:
    """Steps of a pass over so many rows: as many as batches, and at least `least`, as far as there are rows."""
    return max(-(-rows // batch), min(rows, least))


class Shuffled:
    """Every member's own rows, pass after pass, each pass in a new order drawn from the member's seed.

    The steps of a pass are of nearly equal size, so that none ends on a step of three rows; and there are at least
    `least` of them, as far as there are rows, since a small vertical would otherwise hardly move.
    Members stand in order of their steps, longest first, so that those that are done are a suffix of the stack.
    A member whose rows have groups meets those of one group one after the other, and the groups in a new order each
    pass: all but the two at the ends of a step are whole, and none larger than a step is.

    Args:
        rows: each member's row numbers.
        seeds: each member's seed.
        batch: most rows of a step.
        epochs: each member's number of passes.
        least: fewest steps of a pass.
        first: the step to begin with, where others went before.
        groups: the group of each of a member's rows; None for a member whose rows are shuffled one by one.
    """

    def __init__(
        self,
        rows: Sequence[np.ndarray],
        seeds: Sequence[int],
        batch: int,
        epochs: Sequence[int],
        least: int = 1,
        first: int = 0,
        groups: Sequence[np.ndarray | None] | None = None,
    ) -> None:
        self.groups = groups or [None] * len(rows)
        self.rows = [torch.from_numpy(np.asarray(own)) for own in rows]
        self.seeds = seeds
        self.first = first
        self._sizes = torch.tensor([len(own) for own in rows])
        self.pass_steps = torch.tensor([pass_steps(len(own), batch, least) for own in rows])
        self.steps = self.pass_steps * torch.tensor(epochs)
        if (self.steps.diff() > 0).any():
            raise ValueError("members must stand in order of their steps, longest first")
        self._order = torch.full((len(rows), max(map(len, rows))), FILL)
        self._turn = torch.full((len(rows),), -1)

    def __len__(self) -> int:
        """Steps of the longest member that are left."""
        return int(self.steps[0]) - self.first

    def seen(self, step: int) -> int:
        """Rows of all members together in the steps before `step`."""
        done = self.steps.clamp_max(step)
        start = done % self.pass_steps * self._sizes // self.pass_steps
        return int((done // self.pass_steps * self._sizes + start).sum())

    def __iter__(self) -> Iterator[Int[Tensor, "members rows"]]:
        """The row numbers of each step, for the members that are not done, filled up with `FILL`."""
        for step in range(self.first, int(self.steps[0])):
            yield self.at(step)

    def at(self, step: int) -> Int[Tensor, "members rows"]:
        """The row numbers of one step, the same whichever was asked for before."""
        live = int((self.steps > step).sum())
        turn, position = step // self.pass_steps[:live], step % self.pass_steps[:live]
        for member in (turn != self._turn[:live]).nonzero().flatten().tolist():
            self._shuffle(member, int(turn[member]))
        self._turn[:live] = turn
        start = position * self._sizes[:live] // self.pass_steps[:live]
        stop = (position + 1) * self._sizes[:live] // self.pass_steps[:live]
        return self._window(start, stop)

    def _window(self, start: Tensor, stop: Tensor) -> Tensor:
        place = start[:, None] + torch.arange(int((stop - start).max()))
        rows = self._order[: len(start)].gather(1, place.clamp_max(self._order.shape[1] - 1))
        return torch.where(place < stop[:, None], rows, FILL)

    def _shuffle(self, member: int, turn: int) -> None:
        generator = torch.Generator().manual_seed(derived_seed(self.seeds[member], "order", turn))
        own, group = self.rows[member], self.groups[member]
        order = torch.randperm(len(own), generator=generator)
        if group is not None:
            _, number = torch.from_numpy(group).unique(return_inverse=True)
            place = torch.randperm(int(number.max()) + 1, generator=generator)
            order = order[place[number[order]].argsort(stable=True)]
        self._order[member, : len(own)] = own[order]


class Block(NamedTuple):
    """Rows that are scored by one state of the teacher, and then learnt from.

    Attributes:
        rows: row numbers, in time order.
        batches: those of them that are learnt from, in steps.
    """

    rows: np.ndarray
    batches: list[np.ndarray]


def in_time(rows: np.ndarray, time: np.ndarray, batch: int, seed: int, learnt: np.ndarray | None = None) -> list[Block]:
    """Cuts rows into blocks that follow one another strictly in time.

    Rows of one time (one impression, one period) are never split, so that no row is scored by a state that has seen a
    label of its own time. A block holds at least `batch` rows to learn from; one that a long tie makes larger is
    shuffled and learnt from in several steps.

    Args:
        rows: row numbers.
        time: the time of every row of the data.
        batch: rows of a step.
        seed: from which the order within a long tie is drawn.
        learnt: those that are learnt from, at least one; all of them where None. The others are only scored.
    """
    rows = rows[np.argsort(time[rows], kind="stable")]
    lessons = np.ones(len(rows), dtype=bool) if learnt is None else np.isin(rows, learnt)
    before = np.append(0, np.cumsum(lessons))
    starts = np.flatnonzero(np.r_[True, np.diff(time[rows]) > 0])
    blocks, first = [], 0
    while first < len(rows):
        after = np.searchsorted(before[starts], before[first] + batch)
        last = int(starts[after]) if after < len(starts) and before[starts[after]] < before[-1] else len(rows)
        own = slice(first, last)
        blocks.append(_block(rows[own], rows[own][lessons[own]], batch, derived_seed(seed, "tie", len(blocks))))
        first = last
    return blocks


def _block(rows: np.ndarray, lessons: np.ndarray, batch: int, seed: int) -> Block:
    steps = max(1, round(len(lessons) / batch))
    order = np.random.default_rng(seed).permutation(len(lessons)) if steps > 1 else np.arange(len(lessons))
    return Block(rows, np.array_split(lessons[order], steps))
