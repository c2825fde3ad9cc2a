"""Copies: what several processes hold of a table alike, though each trains its own for a while."""

from collections.abc import Sequence

import torch
from torch import Tensor, distributed


class Copies:
    """This process's parts of a table, of which other processes hold copies.

    A copy is stepped by row-wise Adagrad, by the gradient of the whole step as far as it comes from rows of its own, at
    `count` times the rate; when copies are averaged, weights become their mean, and what Adagrad has added up since
    the last time is added up over the copies. Averaged at each step, a row of the table that only one copy has read is
    stepped as in a single table. One that several have read is stepped by their several gradients, each by its own
    norm, in place of their sum.

    TorchRec's `DMPCollection`, which runs on accelerators alone, averages what Adagrad has added up too, of gradients
    that are `count` times as large. That is exact where all copies have the same gradient; where one alone has any, its
    sums grow `count` times too fast. Tall tables are of the second kind.

    Zhang et al.: Two-dimensional Sparse Parallelism for Large Scale Deep Learning Recommendation Model Training, 2025,
    on copies of tables, and why Adagrad must be scaled.

    Args:
        group: the processes that hold the same parts.
        weights: parts of the table.
        sums: what Adagrad has added up for their rows.
    """

    def __init__(self, group: distributed.ProcessGroup, weights: Sequence[Tensor], sums: Sequence[Tensor]) -> None:
        self.group, self.weights, self.sums = group, weights, sums
        self.begin()

    @property
    def count(self) -> int:
        """How many there are."""
        return self.group.size()

    def begin(self) -> None:
        """From now on they go apart: they are alike, as they are."""
        self._before = [added.clone() for added in self.sums] if self.count > 1 else []

    def share(self, rows: Tensor) -> Tensor:
        """Rows of the table, whose gradient, of the mean over this copy's rows, will be its share of that over all."""
        if self.count > 1 and rows.requires_grad:
            rows.register_hook(lambda gradient: gradient / self.count)
        return rows

    @torch.no_grad()
    def average(self) -> None:
        """Makes them alike. All must ask."""
        if self.count == 1:
            return
        for weight in self.weights:
            distributed.all_reduce(weight, group=self.group)
            weight /= self.count
        for added, before in zip(self.sums, self._before, strict=True):
            added -= before
            distributed.all_reduce(added, group=self.group)
            added += before
        self.begin()
