"""Losses of what vectors have to do with each other, against plain formulas and loops."""

import math
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes
from torch import Tensor

from distill.losses import cka, gram, procrustes, rkd_angle, rkd_distance

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
ALL = [cka, gram, procrustes, rkd_angle, rkd_distance]
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0, 1.0, 1.5]).double()
ONES = torch.ones(7).double()


@pytest.fixture
def sides() -> tuple[Tensor, Tensor]:
    """Seven rows: three numbers for the student, five for the teacher."""
    return torch.randn(7, 3).double(), torch.randn(7, 5).double() + 1


def turned(vectors: Tensor) -> Tensor:
    """By a random rotation."""
    return vectors @ torch.linalg.qr(torch.randn(vectors.shape[1], vectors.shape[1]).double()).Q


def huber(gap: float) -> float:
    return gap**2 / 2 if abs(gap) <= 1 else abs(gap) - 0.5


def mean(loss: Tensor, weight: Tensor = ONES) -> float:
    return ((loss * weight).sum() / weight.sum()).item()


@pytest.mark.parametrize("loss", ALL)
def test_turning_changes_nothing(loss: Loss, sides: tuple[Tensor, Tensor]) -> None:
    """And what is turned alone is what it was."""
    student, teacher = sides
    torch.testing.assert_close(loss(turned(student), turned(teacher), WEIGHT), loss(student, teacher, WEIGHT))
    assert loss(turned(teacher), teacher, WEIGHT).abs().max() < 1e-6
    assert loss(student, teacher, WEIGHT).min() > 1e-3


@pytest.mark.parametrize("loss", ALL)
def test_scale_changes_nothing(loss: Loss, sides: tuple[Tensor, Tensor]) -> None:
    student, teacher = sides
    torch.testing.assert_close(loss(5 * student, teacher / 3, WEIGHT), loss(*sides, WEIGHT), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("loss", [cka, procrustes, rkd_angle, rkd_distance])
def test_shifting_changes_nothing(loss: Loss, sides: tuple[Tensor, Tensor]) -> None:
    student, teacher = sides
    torch.testing.assert_close(loss(student + 4, teacher - 2, WEIGHT), loss(*sides, WEIGHT), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("loss", ALL)
def test_more_width_with_nothing_in_it_changes_nothing(loss: Loss, sides: tuple[Tensor, Tensor]) -> None:
    student, teacher = sides
    wider = torch.nn.functional.pad(student, (0, 4))
    torch.testing.assert_close(loss(wider, teacher, WEIGHT), loss(*sides, WEIGHT))


def test_cka_against_its_formula(sides: tuple[Tensor, Tensor]) -> None:
    """HSIC(S, T) / sqrt(HSIC(S, S) HSIC(T, T)) of kernels centred by a matrix."""
    centring = np.eye(7) - 1 / 7
    s, t = (centring @ (side @ side.T).numpy() @ centring for side in sides)
    expected = 1 - (s * t).sum() / math.sqrt((s * s).sum() * (t * t).sum())
    assert cka(*sides, ONES).tolist() == pytest.approx([expected] * 7)


def test_procrustes_against_scipy(sides: tuple[Tensor, Tensor]) -> None:
    """What is left after the best rotation, the narrower side filled up with zeros."""
    student, teacher = (side.numpy() - side.numpy().mean(0) for side in sides)
    student = np.pad(student, ((0, 0), (0, 2))) / np.linalg.norm(student)
    teacher = teacher / np.linalg.norm(teacher)
    rotation, _ = orthogonal_procrustes(student, teacher)
    expected = np.linalg.norm(student @ rotation - teacher) ** 2
    assert procrustes(*sides, ONES).tolist() == pytest.approx([expected] * 7)


@pytest.mark.parametrize("loss", [cka, procrustes, gram])
def test_a_row_of_weight_two_is_that_row_twice(loss: Loss, sides: tuple[Tensor, Tensor]) -> None:
    twice = [0, 1, 1, 2, 3, 4, 5, 6]
    weight = ONES.clone()
    weight[1] = 2
    student, teacher = sides
    repeated = loss(student[twice], teacher[twice], torch.ones(8).double())
    torch.testing.assert_close(loss(student, teacher, weight)[twice], repeated)


def test_gram_against_its_formula(sides: tuple[Tensor, Tensor]) -> None:
    """|S S' - T T'|^2 / n^2, with a mean squared norm of one on each side."""
    s, t = (side.numpy() / math.sqrt((side**2).sum(1).mean()) for side in sides)
    assert mean(gram(*sides, ONES)) == pytest.approx(np.linalg.norm(s @ s.T - t @ t.T) ** 2 / 49)


def test_distances_against_loops(sides: tuple[Tensor, Tensor]) -> None:
    s, t = (torch.cdist(side, side) for side in sides)
    pairs = [(i, j) for i in range(7) for j in range(7) if i != j]
    total = sum(WEIGHT[i] * WEIGHT[j] for i, j in pairs)
    s, t = (side / (sum(WEIGHT[i] * WEIGHT[j] * side[i, j] for i, j in pairs) / total) for side in (s, t))
    for i, found in enumerate(rkd_distance(*sides, WEIGHT).tolist()):
        costs = [WEIGHT[j] * huber((s[i, j] - t[i, j]).item()) for j in range(7) if j != i]
        assert found == pytest.approx((sum(costs) / (WEIGHT.sum() - WEIGHT[i])).item(), abs=1e-6)


def angle(vectors: Tensor, at: int, one: int, other: int) -> float:
    return torch.cosine_similarity(vectors[one] - vectors[at], vectors[other] - vectors[at], dim=0).item()


def test_angles_against_loops(sides: tuple[Tensor, Tensor]) -> None:
    """All of them, from six others on."""
    for i, found in enumerate(rkd_angle(*sides, WEIGHT, others=6).tolist()):
        pairs = list(combinations([j for j in range(7) if j != i], 2))
        costs = [WEIGHT[j] * WEIGHT[k] * huber(angle(sides[0], i, j, k) - angle(sides[1], i, j, k)) for j, k in pairs]
        assert found == pytest.approx((sum(costs) / sum(WEIGHT[j] * WEIGHT[k] for j, k in pairs)).item(), abs=1e-6)
    assert rkd_angle(*sides, WEIGHT, others=50).equal(rkd_angle(*sides, WEIGHT, others=6))


def test_a_sample_of_angles_goes_round_the_rows_that_count(sides: tuple[Tensor, Tensor]) -> None:
    """With two others each row has one angle: between the next row and the one after it, by those that count."""
    weight = ONES.clone()
    weight[[2, 5]] = 0
    there = [0, 1, 3, 4, 6]
    found = rkd_angle(*sides, weight, others=2)
    for place, i in enumerate(there):
        j, k = there[(place + 1) % 5], there[(place + 2) % 5]
        expected = huber(angle(sides[0], i, j, k) - angle(sides[1], i, j, k))
        assert found[i].item() == pytest.approx(expected, abs=1e-6)


def test_a_student_that_says_the_same_of_every_row_is_as_far_off_as_can_be(sides: tuple[Tensor, Tensor]) -> None:
    constant = torch.ones(7, 3).double().requires_grad_()
    loss = cka(constant, sides[1], ONES)
    assert loss.tolist() == pytest.approx([1.0] * 7)
    assert torch.autograd.grad(loss.sum(), constant)[0].abs().max() == 0


def test_rows_that_are_the_same_twice_have_a_gradient(sides: tuple[Tensor, Tensor]) -> None:
    """Two impressions with the same features lie at a distance of nothing, in single precision."""
    student, teacher = (side.float()[[0, 0, 1, 1, 2, 3, 4]] for side in sides)
    for loss in ALL:
        moved = student.clone().requires_grad_()
        gradient = torch.autograd.grad(loss(moved, teacher, torch.ones(7)).sum(), moved)[0]
        assert gradient.abs().max() < 100


def test_few_rows_look_alike_to_cka() -> None:
    """Why batches should have more rows than the width: independent vectors are then close to each other."""
    few, many = (
        cka(torch.randn(rows, 16).double(), torch.randn(rows, 16).double(), torch.ones(rows).double())[0]
        for rows in (8, 2000)
    )
    assert few < 0.6
    assert many > 0.95
