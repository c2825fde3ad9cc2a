"""Which layers may run in FP8: planted outliers, sizes, and what becomes of gradients."""

import copy

import pytest
import torch
from torch import nn

from distill.fleet import Fleet
from distill.fp8 import Fp8Linear, admitted, lower, lowered, probe, rounded, torchao_product
from distill.layers import Linear

LIMIT = 0.05


class Two(nn.Module):
    """Two layers of which the second one is told something enormous that it does not listen to."""

    def __init__(self, outlier: float, width: int = 32) -> None:
        super().__init__()
        self.benign, self.listens = Linear(16, width, relu=True), nn.Linear(width, width)
        self.unused = nn.Linear(16, 16)
        self.outlier = outlier
        self.listens.weight.data[:, 0] = 0

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        hidden = self.benign(rows[..., :8], rows[..., 8:]).clone()
        hidden[..., 0] = hidden[..., 0] * 0 + self.outlier
        return self.listens(hidden)


@pytest.fixture
def rows() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(256, 16)


def test_a_layer_with_outliers_is_refused_and_a_benign_one_admitted(rows: torch.Tensor) -> None:
    torch.manual_seed(0)
    calm, planted = Two(1.0), Two(1e6)
    errors = probe(planted, rows)
    assert errors["listens"] > 0.9  # Beside a million all else is rounded to nothing.
    assert admitted(planted, errors, LIMIT) == ["benign"]
    assert admitted(calm, probe(calm, rows), LIMIT) == ["benign", "listens"]
    assert "unused" not in errors


def test_rounding_alone_is_the_error_of_the_format(rows: torch.Tensor) -> None:
    """Three bits of mantissa: at most 1/16 of a number, 3 to 4 % of a product of two rounded factors."""
    torch.manual_seed(0)
    numbers = torch.randn(64, 512)
    assert float(((rounded(numbers) - numbers).abs() / numbers.abs())[numbers.abs() > 0.1].max()) <= 1 / 16 + 1e-6
    assert 0.02 < probe(Two(1.0), rows)["benign"] < 0.045


def test_nothing_is_admitted_that_kernels_do_not_take(rows: torch.Tensor) -> None:
    torch.manual_seed(0)
    odd = Two(1.0, width=24)
    assert admitted(odd, probe(odd, rows), LIMIT) == []


def test_a_lowered_layer_rounds_and_its_gradient_goes_past(rows: torch.Tensor) -> None:
    torch.manual_seed(0)
    exact = Two(1.0)
    ranker = lower(copy.deepcopy(exact), ["benign"])
    assert lowered(ranker) == ["benign"] and isinstance(ranker.benign, Fp8Linear)
    weight = exact.benign.weight
    expected = (rounded(rows) @ rounded(weight).T + exact.benign.bias).relu()
    said = ranker.benign(rows[:, :8], rows[:, 8:])
    assert torch.allclose(said, expected, atol=1e-6)
    said.sum().backward()
    live = (said > 0).float()
    assert torch.allclose(ranker.benign.weight.grad, live.T @ rounded(rows), atol=1e-5)


def test_what_is_said_of_a_row_does_not_depend_on_the_others(rows: torch.Tensor) -> None:
    torch.manual_seed(0)
    ranker = lower(Two(1.0), ["benign", "listens"])
    assert torch.allclose(ranker(rows)[:7], ranker(torch.cat([rows[:7], rows[7:] * 100]))[:7], atol=1e-6)


def test_a_fleet_runs_lowered_members_as_they_run_alone(rows: torch.Tensor) -> None:
    torch.manual_seed(0)
    alone = [lower(Two(1.0), ["benign", "listens"]) for _ in range(3)]
    fleet = Fleet([copy.deepcopy(one) for one in alone])
    together = fleet(torch.stack([rows] * 3))
    assert torch.allclose(together, torch.stack([one(rows) for one in alone]), atol=1e-2)  # A bin may be the next one.


def test_torchao_is_as_close_as_what_is_emulated(rows: torch.Tensor) -> None:
    """Not equal: its scales are powers of two."""
    pytest.importorskip("torchao", reason="torchao is not installed")
    torch.manual_seed(0)
    weight = torch.randn(32, 16)
    exact = rows @ weight.T
    for product in (torchao_product(rows, weight, emulate=True), rounded(rows) @ rounded(weight).T):
        assert 0.01 < float((product - exact).norm() / exact.norm()) < LIMIT
