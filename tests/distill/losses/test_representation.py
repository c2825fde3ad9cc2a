"""Losses of hidden vectors, row by row."""

import math

import pytest
import torch
from torch.nn.functional import cosine_similarity, cross_entropy

from distill.losses import contrastive, cosine, hint_mse

ONES = torch.ones(6).double()


def vectors(*shape: int) -> torch.Tensor:
    return torch.randn(*shape).double()


def test_a_hint_by_hand() -> None:
    """(1 + 9) / 2, and the mean over rows that count."""
    student, teacher = torch.tensor([[1.0, 2.0], [4.0, 4.0]]), torch.tensor([[0.0, 5.0], [0.0, 0.0]])
    assert hint_mse(student, teacher, torch.ones(2)).tolist() == [5.0, 16.0]
    assert hint_mse(student, teacher, torch.tensor([1.0, 0.0])).tolist() == [5.0, 0.0]


def test_a_hint_is_met_at_an_exact_linear_map() -> None:
    student, projector = vectors(6, 3), vectors(3, 5)
    assert hint_mse(student @ projector, student @ projector, ONES).abs().max() == 0


def test_cosine_by_hand() -> None:
    """Same direction 0, at right angles 1, opposite 2; a vector without a length has no direction."""
    student = torch.tensor([[3.0, 0.0], [0.0, 2.0], [-1.0, 0.0], [0.0, 0.0]])
    teacher = torch.tensor([[0.5, 0.0]] * 4)
    assert cosine(student, teacher, torch.ones(4)).tolist() == pytest.approx([0, 1, 2, 1])
    student, teacher = vectors(6, 4), vectors(6, 4)
    torch.testing.assert_close(cosine(student, teacher, ONES), 1 - cosine_similarity(student, teacher))


def test_contrast_is_a_choice_among_the_rows_of_the_batch() -> None:
    student, teacher = vectors(6, 4), vectors(6, 4)
    scores = cosine_similarity(student[:, None], teacher[None], dim=-1)
    for temperature in (0.1, 1.0):
        expected = cross_entropy(scores / temperature, torch.arange(6), reduction="none")
        torch.testing.assert_close(contrastive(student, teacher, ONES, temperature), expected)


def test_contrast_of_constant_vectors_is_log_n() -> None:
    same = torch.ones(6, 4).double()
    assert contrastive(same, same, ONES).tolist() == pytest.approx([math.log(6)] * 6)
    assert contrastive(same, same, ONES.clone().index_fill_(0, torch.tensor([1, 4]), 0))[0] == pytest.approx(
        math.log(4)
    )


def test_the_temperature_of_each_member() -> None:
    student, teacher = vectors(2, 6, 4), vectors(2, 6, 4)
    weight = ONES.expand(2, 6)
    both = contrastive(student, teacher, weight, torch.tensor([0.1, 0.5]).double()[:, None, None])
    torch.testing.assert_close(both[1], contrastive(student[1], teacher[1], ONES, 0.5))


def test_contrast_weighs_whom_it_chooses_from() -> None:
    """log(sum of w_j / w_i) where all vectors are the same."""
    same, weight = torch.ones(3, 2).double(), torch.tensor([1.0, 2.0, 5.0]).double()
    assert contrastive(same, same, weight).tolist() == pytest.approx([math.log(8), math.log(4), math.log(1.6)])
