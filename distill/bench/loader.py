"""loader: gathering whole batches against a DataLoader that collates rows."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from distill.bench.figure import Figure
from distill.bench.impressions import Shape, generated
from distill.bench.rounds import Scale, in_turn, ratios
from distill.data.impressions import View
from distill.feed import Feed

SHAPE = Shape(fields=25, ids=1000, numeric=10, embedding=8, hidden=(64,), history=50)
ROWS, BATCH = 300_000, 1024
FEWER = 10
"""Rows are read one by one from a share of them, as it takes so long; rates are compared."""


class RowByRow(Dataset):
    """Rows as a Dataset is usually written: tensors in memory, one tuple a row, collated by the DataLoader."""

    def __init__(self, view: View, rows: int) -> None:
        features, label, *_ = view.take(torch.arange(rows))
        self.columns = (features.categorical.long(), features.sequences["clicked"].long(), features.numeric, label)
        self.columns = tuple(column.contiguous() for column in self.columns)

    def __len__(self) -> int:
        return len(self.columns[0])

    def __getitem__(self, row: int) -> tuple[Tensor, ...]:
        return tuple(column[row] for column in self.columns)


def measure(scale: Scale) -> Iterator[Figure]:
    """Rows per CPU second in a new order, 25 ids, 10 numbers, a history of 50 and a label each; ours over theirs."""
    rows = scale.of(ROWS, 64)
    with TemporaryDirectory() as folder:
        view = generated(SHAPE.at(scale), 1, rows, Path(folder)).view(None, "all")
        some = RowByRow(view, rows // FEWER)
        ours, theirs = in_turn(scale, lambda: _gathered(view, rows), lambda: _collated(some))
    yield Figure("loader", [ratio * rows / len(some) for ratio in ratios(theirs, ours)], target=60)


def _gathered(view: View, rows: int) -> None:
    for _ in Feed(view, torch.randperm(rows)[None].split(BATCH, 1), [0]):
        pass


def _collated(rows: RowByRow) -> None:
    for _ in DataLoader(rows, batch_size=BATCH, shuffle=True):
        pass
