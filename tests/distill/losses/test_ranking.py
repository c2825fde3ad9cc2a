"""Losses within groups, by hand, against plain loops, and their properties."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from distill.losses import (
    binary_cross_entropy,
    listwise,
    listwise_softmax,
    listwise_unnormalised,
    margin_mse,
    pairwise,
)

Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
GROUPED = [pairwise, margin_mse, listwise, listwise_unnormalised, listwise_softmax]
SHIFTED = [pairwise, margin_mse, listwise_softmax]


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.double)[:, None]


def log_odds(*probabilities: float) -> Tensor:
    return column(*probabilities).logit()


def gradient(loss: Loss, logit: Tensor, *others: Tensor) -> Tensor:
    logit = logit.clone().requires_grad_()
    return torch.autograd.grad(loss(logit, *others).sum(), logit)[0]


@pytest.fixture
def rows() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Eight rows of three groups, two tasks."""
    weight = torch.tensor([1.0, 2.0, 0.5, 1.0, 1.0, 3.0, 1.0, 0.0]).double()
    group = torch.tensor([4, -1, 4, 4, -1, 7, -1, 7])
    return torch.randn(8, 2).double(), torch.randn(8, 2).double(), group, weight


def paired(loss: Callable[[float, float], float], rows: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
    """Mean over the other rows of the group by weight, with loops."""
    logit, teacher, group, weight = rows
    found = torch.zeros_like(logit)
    for task in range(logit.shape[1]):
        for i in range(len(logit)):
            others = [j for j in range(len(logit)) if j != i and group[j] == group[i] and weight[i] * weight[j] > 0]
            costs = [
                weight[j] * loss((logit[i] - logit[j])[task].item(), (teacher[i] - teacher[j])[task].item())
                for j in others
            ]
            found[i, task] = sum(costs) / sum(weight[j] for j in others) if others else 0.0
    return found


def test_pairs_against_loops(rows: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    def cost(gap: float, teacher: float) -> float:
        return math.log1p(math.exp(-gap)) + gap / (1 + math.exp(teacher))

    torch.testing.assert_close(pairwise(*rows), paired(cost, rows))


def test_margins_against_loops(rows: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    torch.testing.assert_close(margin_mse(*rows), paired(lambda gap, teacher: (gap - teacher) ** 2, rows))


def test_pairs_by_hand() -> None:
    """A teacher who is sure that the first of two comes first: log(1 + exp(-gap)) for both rows, gradient -+sigmoid."""
    z, t = column(1.0, 0.0), column(800.0, 0.0)
    group, weight = torch.zeros(2, dtype=torch.long), torch.ones(2).double()
    assert pairwise(z, t, group, weight).flatten().tolist() == pytest.approx([math.log1p(math.exp(-1))] * 2)
    assert gradient(pairwise, z, t, group, weight).flatten().tolist() == pytest.approx(
        [-2 / (1 + math.e), 2 / (1 + math.e)]
    )


def test_lists_by_hand() -> None:
    """Teacher .1 and .3, student .2 and .2: shares 1/4 and 3/4 against 1/2 and 1/2, each row alone in the third."""
    z, t = log_odds(0.2, 0.9, 0.2), log_odds(0.1, 0.5, 0.3)
    group, weight = torch.tensor([0, 1, 0]), torch.ones(3).double()
    assert listwise(z, t, group, weight).flatten().tolist() == pytest.approx([math.log(2), 0, math.log(2)])
    assert listwise_unnormalised(z, t, group, weight).flatten().tolist() == pytest.approx(
        [0.2 * math.log(2), 0, 0.2 * math.log(2)]
    )


def test_a_softmax_by_hand() -> None:
    z, t = column(0.0, math.log(3)), column(math.log(4), 0.0)
    group, weight = torch.zeros(2, dtype=torch.long), torch.ones(2).double()
    expected = 0.8 * math.log(4) + 0.2 * math.log(4 / 3)
    assert listwise_softmax(z, t, group, weight).flatten().tolist() == pytest.approx([expected] * 2)


def test_lists_against_loops(rows: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    logit, teacher, group, weight = rows
    expected = torch.zeros_like(logit)
    for name in group.unique():
        inside = (group == name) & (weight > 0)
        p, q = ((side[inside].sigmoid().T * weight[inside]).T for side in (logit, teacher))
        expected[inside] = -(q / q.sum(0) * (p / p.sum(0)).log()).sum(0)
    torch.testing.assert_close(listwise(*rows), expected)


@pytest.mark.parametrize("loss", GROUPED)
def test_a_row_alone_in_its_group_costs_nothing(loss: Loss) -> None:
    """A softmax over one logit is constant: it has no gradient, so a list of one teaches nothing."""
    z, t = column(1.3, -2.0), column(0.2, 5.0)
    alone = torch.tensor([3, 5]), torch.tensor([1.0, 0.3]).double()
    assert loss(z, t, *alone).abs().max() == 0
    assert gradient(loss, z, t, *alone).abs().max() == 0


@pytest.mark.parametrize("loss", GROUPED)
def test_groups_never_feel_each_other(loss: Loss, rows: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    together = loss(*rows)
    for name in rows[2].unique():
        inside = rows[2] == name
        torch.testing.assert_close(loss(*(part[inside] for part in rows)), together[inside])


@pytest.mark.parametrize("loss", GROUPED)
def test_only_whether_groups_are_the_same_counts(loss: Loss, rows: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    z, t, group, weight = rows
    torch.testing.assert_close(loss(z, t, 100 - 7 * group, weight), loss(*rows))


@pytest.mark.parametrize("loss", SHIFTED)
def test_the_level_of_a_group_is_left_to_others(loss: Loss, rows: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    z, t, group, weight = rows
    torch.testing.assert_close(loss(z + group[:, None], t - 3 * group[:, None], group, weight), loss(*rows))


@pytest.mark.parametrize("loss", [listwise, listwise_unnormalised])
def test_a_factor_on_all_probabilities_of_a_list_changes_nothing(loss: Loss) -> None:
    """Of the student's: so a pointwise loss is needed beside it. And of the teacher's, where shares are taken."""
    group, weight = torch.tensor([0, 0, 0]), torch.ones(3).double()
    t = log_odds(0.02, 0.05, 0.3)
    torch.testing.assert_close(
        loss(log_odds(0.01, 0.02, 0.2), t, group, weight), loss(log_odds(0.03, 0.06, 0.6), t, group, weight)
    )
    z, doubled = log_odds(0.01, 0.02, 0.2), log_odds(0.04, 0.1, 0.6)
    factor = 1 if loss is listwise else 2
    torch.testing.assert_close(loss(z, doubled, group, weight), factor * loss(z, t, group, weight))


def test_shares_are_compatible_with_calibration_and_a_softmax_is_not() -> None:
    """A teacher right up to a factor: the true probabilities stay at rest, under labels and under shares."""
    truth, group, weight = log_odds(0.1, 0.2, 0.4), torch.zeros(3, dtype=torch.long), torch.ones(3).double()
    teacher = log_odds(0.2, 0.4, 0.8)
    label = gradient(lambda z, t, *_: binary_cross_entropy(z, t.sigmoid()), truth, truth, group, weight)
    assert label.abs().max() < 1e-12
    assert gradient(listwise, truth, teacher, group, weight).abs().max() < 1e-12
    assert gradient(listwise_unnormalised, truth, teacher, group, weight).abs().max() < 1e-12
    assert gradient(listwise_softmax, truth, teacher, group, weight).abs().max() > 0.1
    assert gradient(pairwise, truth, teacher, group, weight).abs().max() > 0.1


def test_a_teacher_who_sees_more_needs_unnormalised_shares() -> None:
    """He knows of a state that the student can't see: .1 and .2, or .6 and .2. The means are .35 and .2.

    They are at rest under the un-normalised loss; under shares they are not, because shares don't average.
    """
    truth, group, weight = log_odds(0.35, 0.2), torch.zeros(2, dtype=torch.long), torch.ones(2).double()
    states = log_odds(0.1, 0.2), log_odds(0.6, 0.2)
    pull = {
        loss: sum(gradient(loss, truth, state, group, weight) for state in states).abs().max()
        for loss in (listwise, listwise_unnormalised)
    }
    assert pull[listwise_unnormalised] < 1e-12
    assert pull[listwise] > 0.01


@pytest.mark.parametrize("loss", GROUPED)
def test_far_out_nothing_is_lost(loss: Loss) -> None:
    """Log-odds of a thousand, in single precision."""
    z, t = column(1000.0, -1000.0, 0.0).float(), column(-1000.0, 1000.0, 3.0).float()
    group, weight = torch.zeros(3, dtype=torch.long), torch.ones(3)
    assert loss(z, t, group, weight).isfinite().all()
    assert gradient(loss, z, t, group, weight).isfinite().all()
