"""The metrics as `torchmetrics.Metric`s, for training loops elsewhere: they add up over batches and over processes.

Each takes log-odds, labels and perhaps weights, `[*members, rows]`, and computes one number a member in float64.
torchmetrics is imported here alone; `distill.metrics` itself needs no torch.
"""

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from distill.metrics.entropy import cross_entropy, entropy
from distill.metrics.numbers import Values, float64, ratio, sigmoid
from distill.metrics.ranking import gauc
from distill.metrics.streaming import LogitHistogram

__all__ = ["GAUC", "CalibrationRatio", "LogLoss", "NormalizedEntropy", "StreamingAUC"]


class _Sums(Metric):
    """What several metrics are made of: weight, clicks, predicted clicks and cross entropy.

    Args:
        members: sizes of the axes before `rows`; none for one ranker.
    """

    full_state_update = False

    def __init__(self, members: tuple[int, ...] = ()) -> None:
        super().__init__()
        for name in ("weight", "clicks", "predicted", "cross_entropy"):
            self.add_state(name, torch.zeros(members, dtype=torch.float64), dist_reduce_fx="sum")
        self.set_dtype(torch.float64)

    def update(self, logit: Tensor, label: Tensor, weight: Tensor | None = None) -> None:
        """Adds some rows."""
        rows = _numbers(logit, label, weight)
        chance, label, share = sigmoid(rows[0]), rows[1], rows[2]
        self.weight += _sum(share, self.weight)
        self.clicks += _sum(share * label, self.clicks)
        self.predicted += _sum(share * chance, self.predicted)
        self.cross_entropy += _sum(cross_entropy(*rows), self.cross_entropy)

    def _ratio(self, numerator: Values, denominator: Values) -> Tensor:
        return torch.from_numpy(np.asarray(ratio(numerator, denominator)))


class NormalizedEntropy(_Sums):
    """Cross entropy over that of the rows' own base rate; NaN where the labels are of one class."""

    higher_is_better = False

    def compute(self) -> Tensor:
        """Of all rows so far."""
        base = entropy(self.clicks.cpu().numpy(), self.weight.cpu().numpy())
        return self._ratio(self.cross_entropy.cpu().numpy(), base)


class LogLoss(_Sums):
    """Mean cross entropy by weight, in nats."""

    higher_is_better = False

    def compute(self) -> Tensor:
        """Of all rows so far."""
        return self._ratio(self.cross_entropy.cpu().numpy(), self.weight.cpu().numpy())


class CalibrationRatio(_Sums):
    """Sum of predicted clicks over sum of clicks; NaN without clicks."""

    def compute(self) -> Tensor:
        """Of all rows so far."""
        return self._ratio(self.predicted.cpu().numpy(), self.clicks.cpu().numpy())


class StreamingAUC(Metric):
    """AUC from a histogram of the log-odds; `distill.metrics.LogitHistogram` says how exact that is.

    Args:
        edges: between the bins, the same in every process; see `distill.metrics.quantile_edges`.
        members: sizes of the axes before `rows`; none for one ranker.
    """

    full_state_update = False
    higher_is_better = True

    def __init__(self, edges: Tensor, members: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.members = members
        self.edges = float64(edges.cpu())
        empty = torch.zeros(2, *members, len(self.edges) + 1, dtype=torch.float64)
        self.add_state("counts", empty, dist_reduce_fx="sum")
        self.set_dtype(torch.float64)

    def update(self, logit: Tensor, label: Tensor, weight: Tensor | None = None) -> None:
        """Adds some rows."""
        added = LogitHistogram(self.edges, self.members).add(*_numbers(logit, label, weight))
        self.counts += torch.from_numpy(added.counts).to(self.counts)

    def compute(self) -> Tensor:
        """Of all rows so far."""
        histogram = LogitHistogram(self.edges, self.members)
        histogram.counts = self.counts.cpu().numpy()
        return torch.from_numpy(np.asarray(histogram.auc().value))


class GAUC(Metric):
    """AUC within groups, averaged by weight, over all rows and never within a batch; it keeps every row."""

    full_state_update = False
    higher_is_better = True

    def __init__(self) -> None:
        super().__init__()
        for name in ("logit", "label", "group", "weight"):
            self.add_state(name, [], dist_reduce_fx="cat")
        self.set_dtype(torch.float64)

    def update(self, logit: Tensor, label: Tensor, group: Tensor, weight: Tensor | None = None) -> None:
        """Adds some rows; `group` holds a number for each user or session."""
        self.logit.append(logit.double())
        self.label.append(label.double())
        self.group.append(group)
        self.weight.append(torch.ones_like(logit, dtype=torch.float64) if weight is None else weight.double())

    def compute(self) -> Tensor:
        """Of all rows so far; NaN without a group of both classes."""
        columns = (self.logit, self.label, self.group, self.weight)
        rows = [torch.cat(column if isinstance(column, list) else [column]).cpu().numpy() for column in columns]
        return torch.tensor(gauc(*rows).value, dtype=torch.float64)


def _numbers(logit: Tensor, label: Tensor, weight: Tensor | None) -> list[np.ndarray]:
    """Log-odds, labels and weights in one shape."""
    share = torch.ones((), dtype=torch.float64) if weight is None else weight
    columns = (float64(one.detach().cpu().double().numpy()) for one in (logit, label, share))
    return np.broadcast_arrays(*columns)


def _sum(rows: np.ndarray, like: Tensor) -> Tensor:
    return torch.as_tensor(rows.sum(-1)).to(like)
