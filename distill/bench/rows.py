"""Rows: what one student learns from, as plain tensors in memory, for those who do not read our records."""

from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from distill.data.impressions import TRAIN, Impressions, View


class Rows(NamedTuple):
    """The training rows of one vertical.

    Attributes:
        ids: numbered within each field, `[rows, fields]`, int64.
        heights: number of ids of each field.
        numbers: `[rows, numeric]`.
        label: `[rows]`, float32.
    """

    ids: Tensor
    heights: list[int]
    numbers: Tensor
    label: Tensor

    def in_one_table(self) -> "Rows":
        """The same with all fields numbered end to end."""
        starts = list(accumulate(self.heights[:-1], initial=0))
        return self._replace(ids=self.ids + torch.tensor(starts), heights=[sum(self.heights)])


def rows_of(impressions: Impressions) -> list[Rows]:
    """The training rows of every vertical: those that our side reads, with the same ids and labels."""
    view = impressions.view(None, "vertical")
    return [_rows(impressions, view, vertical) for vertical in impressions.verticals]


def _rows(impressions: Impressions, view: View, vertical: str) -> Rows:
    features, label, *_ = view.take(torch.from_numpy(impressions.select(TRAIN, vertical)))
    schema = view.schema(vertical)
    heights = [schema.tables[name] for name in schema.categorical]
    return Rows(features.categorical.long(), heights, features.numeric.contiguous(), label[:, 0].contiguous())
