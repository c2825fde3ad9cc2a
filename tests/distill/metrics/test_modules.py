"""The metrics as `torchmetrics.Metric`s give, batch by batch, what the functions give for all rows."""

import pickle

import numpy as np
import pytest
import torch
from torch import Tensor

from distill import metrics
from distill.metrics.modules import GAUC, CalibrationRatio, LogLoss, NormalizedEntropy, StreamingAUC


@pytest.fixture
def rows() -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    logit = torch.randn(2, 500, generator=draw) - 1
    label = torch.bernoulli(logit[0].sigmoid(), generator=draw)
    return logit, label, torch.rand(500, generator=draw) + 0.5


SUMS = {
    NormalizedEntropy: metrics.normalized_entropy,
    LogLoss: metrics.log_loss,
    CalibrationRatio: lambda *columns: metrics.calibration(*columns).ratio,
}


@pytest.mark.parametrize("kind", SUMS, ids=lambda kind: kind.__name__)
def test_batches_add_up(kind: type, rows: tuple[Tensor, Tensor, Tensor]) -> None:
    logit, label, weight = rows
    metric = kind(members=(2,))
    for part in (slice(0, 100), slice(100, 500)):
        metric.update(logit[:, part], label[part], weight[part])
    expected = SUMS[kind](*(column.double().numpy() for column in rows))
    np.testing.assert_allclose(metric.compute().numpy(), expected, rtol=1e-9)
    np.testing.assert_allclose(pickle.loads(pickle.dumps(metric)).compute(), expected, rtol=1e-9)
    metric.reset()
    assert metric.compute().isnan().all()


@pytest.mark.parametrize("kind", [*SUMS, GAUC], ids=lambda kind: kind.__name__)
def test_two_processes_are_one(kind: type, rows: tuple[Tensor, Tensor, Tensor]) -> None:
    logit, label, _ = rows
    group = [torch.arange(500) % 40] if kind is GAUC else []
    whole, first, second = kind(), kind(), kind()
    whole.update(logit[0], label, *group)
    first.update(logit[0, :200], label[:200], *(one[:200] for one in group))
    second.update(logit[0, 200:], label[200:], *(one[200:] for one in group))
    first.merge_state(second)
    assert first.compute().item() == pytest.approx(whole.compute().item(), rel=1e-12)


def test_streaming_auc_is_that_of_the_histogram(rows: tuple[Tensor, Tensor, Tensor]) -> None:
    logit, label, weight = rows
    metric = StreamingAUC(torch.from_numpy(metrics.quantile_edges(logit.numpy())), members=(2,))
    metric.update(logit[:, :300], label[:300], weight[:300])
    metric.update(logit[:, 300:], label[300:], weight[300:])
    columns = label.double().numpy(), weight.double().numpy()
    exact = [metrics.auc(one.double().numpy(), *columns) for one in logit]
    np.testing.assert_allclose(metric.compute().numpy(), exact, atol=1e-4)


def test_gauc_keeps_groups_whole_across_batches(rows: tuple[Tensor, Tensor, Tensor]) -> None:
    logit, label, weight = (rows[0][0], *rows[1:])
    group, metric = torch.arange(500) % 40, GAUC()
    for start in range(0, 500, 50):
        part = slice(start, start + 50)
        metric.update(logit[part], label[part], group[part], weight[part])
    columns = (logit.double().numpy(), label.double().numpy(), group.numpy(), weight.double().numpy())
    assert metric.compute().item() == pytest.approx(metrics.gauc(*columns).value, rel=1e-12)
