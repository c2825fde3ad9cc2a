"""Standing: how well each of several teachers did shortly before a row, by labels that are older than the row."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from distill.data.impressions import TRAIN, Impressions
from distill.knowledge import Knowledge
from distill.metrics import normalized_entropy
from distill.sampling import in_time


class Standing:
    """Normalized entropy of each source in the latest block of training rows that ended before a row's time.

    Blocks hold rows that all sources have scored, so that they are compared on the same ones; rows of one time are
    never split. Before the first block all stand alike, and so they do after one without a click or without a
    non-click. No label of validation or test rows has any part in it.

    Args:
        tables: what each source said.
        impressions: the rows, with a time.
        rows: fewest rows of a block.
        by: whether blocks are of all rows, or of those of each vertical.
    """

    def __init__(
        self,
        tables: Mapping[str, Knowledge],
        impressions: Impressions,
        rows: int,
        by: Literal["all", "vertical"],
    ) -> None:
        self.tables, self.impressions, self.rows = tables, impressions, rows
        self.place = torch.zeros(impressions.rows, dtype=torch.int32)
        found = [np.zeros((1, len(tables), len(impressions.tasks)))]
        usable = self._usable()
        for own in self._groups(by):
            self._put(found, own, own[usable[own]])
        entropy = torch.from_numpy(np.concatenate(found)).float()
        self.entropy = {name: entropy[:, number].contiguous() for number, name in enumerate(tables)}

    def at(self, rows: Int[Tensor, "*members rows"]) -> dict[str, Float[Tensor, "*members rows tasks"]]:
        """How each source stands at some rows; fills have any standing."""
        place = self.place[rows.clamp_min(0)].long()
        return {name: entropy[place] for name, entropy in self.entropy.items()}

    def _groups(self, by: Literal["all", "vertical"]) -> list[np.ndarray]:
        """The rows of each group, whatever split they are in."""
        if by == "all":
            return [np.arange(self.impressions.rows)]
        vertical = self.impressions.vertical
        counts = np.bincount(vertical, minlength=len(self.impressions.verticals))
        return np.split(np.argsort(vertical, kind="stable"), np.cumsum(counts)[:-1])

    def _usable(self) -> np.ndarray:
        """Which rows are training rows with a label that every source has scored."""
        train = self.impressions.select(TRAIN)
        there = self.impressions.valid[train].any(axis=1)
        for table in self.tables.values():
            there = there & table.take(torch.from_numpy(train), representation=False).covered.numpy()
        usable = np.zeros(self.impressions.rows, dtype=bool)
        usable[train] = there
        return usable

    def _put(self, found: list[np.ndarray], own: np.ndarray, usable: np.ndarray) -> None:
        """Adds the blocks of a group, and where each of its rows finds what was known before its time."""
        time, first = self.impressions.time, sum(map(len, found))
        blocks = self._blocks(usable) if len(usable) else []
        if not blocks:
            return
        found.append(np.stack([self._entropies(rows) for rows in blocks]))
        ended = np.searchsorted([time[rows].max() for rows in blocks], time[own], "left")  # Strictly earlier.
        self.place[own] = torch.from_numpy(np.where(ended > 0, first + ended - 1, 0).astype(np.int32))

    def _blocks(self, rows: np.ndarray) -> list[np.ndarray]:
        """Rows in blocks that follow one another in time; a rest too small for one belongs to the last, if any."""
        blocks = [block.rows for block in in_time(rows, self.impressions.time, self.rows, seed=0)]
        if len(blocks[-1]) >= self.rows:
            return blocks
        return [*blocks[:-2], np.concatenate(blocks[-2:])] if len(blocks) > 1 else []

    def _entropies(self, rows: np.ndarray) -> Float[np.ndarray, "sources tasks"]:
        """Of each source on the same rows; 0 for all where there is none to compare."""
        label, valid, worth = self.impressions.label[rows], self.impressions.valid[rows], self.impressions.worth(rows)
        entropy = [
            [
                normalized_entropy(logit[there, task], label[there, task], worth[there])
                for task, there in enumerate(valid.T)
            ]
            for logit in (self._said(table, rows) for table in self.tables.values())
        ]
        return np.nan_to_num(np.array(entropy, dtype=np.float64), nan=0.0)

    def _said(self, table: Knowledge, rows: np.ndarray) -> Float[np.ndarray, "rows tasks"]:
        return table.take(torch.from_numpy(rows), representation=False).prediction.logit.numpy()
