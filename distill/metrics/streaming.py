"""AUC of more rows than fit into memory: clicks and non-clicks counted in bins of the log-odds."""

from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Float

from distill.metrics.numbers import Values, float64, ratio

BINS = 2**14
"""Bins by default. At a click rate of 1 %, 200 equal bins of the probability put most rows into two of them."""


class StreamedAUC(NamedTuple):
    """AUC from a histogram.

    Attributes:
        value: rows of one bin count as ties.
        error: how far the exact value can be from it, at most.
    """

    value: Float[np.ndarray, "*members"]
    error: Float[np.ndarray, "*members"]


class LogitHistogram:
    """Clicks and non-clicks by bin of the log-odds, for one ranker or several.

    Two histograms with the same edges add up, in whatever order their rows came.

    Args:
        edges: between the bins, rising; see `quantile_edges`.
        members: sizes of the axes before `rows`; none for one ranker.

    Example:
        >>> counted = LogitHistogram(quantile_edges(np.linspace(-3, 3, 100)))
        >>> counted.add([-1.0, 2.0], [0, 1]).add([0.0, 1.0], [1, 0]).auc().value.item()
        0.75
    """

    def __init__(self, edges: Float[np.ndarray, " edges"], members: tuple[int, ...] = ()) -> None:
        self.edges = float64(edges)
        self.counts = np.zeros((2, *members, len(self.edges) + 1))

    def add(self, logit: Values, label: Values, weight: Values = 1.0) -> Self:
        """Counts some more rows, `[*members, rows]`."""
        logit, label, weight = np.broadcast_arrays(float64(logit), float64(label), float64(weight))
        bins = self.counts.shape[-1]
        of_one = np.searchsorted(self.edges, logit, side="right").reshape(-1, logit.shape[-1])
        place = (of_one + bins * np.arange(len(of_one))[:, None]).ravel()
        for counts, share in zip(self.counts, (label * weight, (1 - label) * weight), strict=True):
            counts += np.bincount(place, share.ravel(), bins * len(of_one)).reshape(counts.shape)
        return self

    def auc(self) -> StreamedAUC:
        """What the counts say, and how exactly; NaN where the labels are of one class."""
        clicks, others = self.counts
        below = np.cumsum(others, -1) - others
        pairs = clicks.sum(-1) * others.sum(-1)
        tied = (clicks * others).sum(-1) / 2
        return StreamedAUC(ratio((clicks * below).sum(-1) + tied, pairs), ratio(tied, pairs))


def quantile_edges(logit: Values, bins: int = BINS) -> Float[np.ndarray, " edges"]:
    """Edges with equally many of some sampled log-odds between them; equal ones merge."""
    return np.unique(np.quantile(float64(logit), np.arange(1, bins) / bins))
