"""Rotary encodings: a score knows how far apart two tokens are, and nothing else of their places."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distill.layers.sequence import rotated


def score(place: float, other: float, width: int = 8) -> float:
    generator = torch.Generator().manual_seed(3)
    query, key = torch.randn(2, 1, width, generator=generator, dtype=torch.float64)
    turned = [rotated(one, torch.tensor([at], dtype=torch.float64)) for one, at in ((query, place), (key, other))]
    return float(turned[0] @ turned[1].T)


@given(place=st.floats(-50, 50), other=st.floats(-50, 50), shift=st.floats(-1000, 1000))
def test_a_score_depends_on_the_distance_alone(place: float, other: float, shift: float):
    assert score(place, other) == pytest.approx(score(place + shift, other + shift), abs=1e-9)


def test_and_does_depend_on_it():
    assert len({round(score(0, other), 6) for other in range(9)}) == 9


def test_place_zero_and_lengths_stay():
    vectors = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    turned = rotated(vectors, torch.arange(5).double())
    torch.testing.assert_close(turned[..., 0, :], vectors[..., 0, :])
    torch.testing.assert_close(turned.norm(dim=-1), vectors.norm(dim=-1))


def test_the_first_pair_turns_by_one_and_later_ones_more_slowly():
    turned = rotated(torch.tensor([[1.0, 1.0, 0.0, 0.0]]), torch.tensor([2.0]))
    wanted = [torch.cos(torch.tensor(angle)) for angle in (2.0, 0.02)] + [
        torch.sin(torch.tensor(angle)) for angle in (2.0, 0.02)
    ]
    torch.testing.assert_close(turned[0], torch.stack(wanted))
