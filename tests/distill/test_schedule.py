"""Weights that grow and decay, one curve a member."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distill.schedule import DECAYS, Schedule


def curve(decay: str, warm_up: float, progress: float) -> float:
    """The same, in words of its own."""
    if progress < warm_up:
        return progress / warm_up
    gone = (progress - warm_up) / (1 - warm_up)
    return {"constant": 1.0, "linear": 1 - gone, "cosine": 0.5 + 0.5 * math.cos(math.pi * gone)}[decay]


MEMBERS = st.lists(
    st.tuples(st.sampled_from(DECAYS), st.sampled_from([0.0, 0.1, 0.5, 0.9]), st.floats(0, 1, width=32)),
    min_size=1,
    max_size=6,
)


@given(MEMBERS)
def test_each_member_has_its_own_curve(members: list[tuple[str, float, float]]) -> None:
    settings = [{"decay": float(DECAYS.index(decay)), "warm_up": warm_up} for decay, warm_up, _ in members]
    found = Schedule.of(settings).share(torch.tensor([progress for *_, progress in members]))
    assert found.tolist() == pytest.approx([curve(*one) for one in members], abs=1e-5)


def test_members_that_have_left_the_stack_are_not_asked_for() -> None:
    schedule = Schedule.of([{"decay": 1.0, "warm_up": 0.0}, {}, {"decay": 2.0}])
    assert schedule.share(torch.tensor([0.25, 0.9])).tolist() == pytest.approx([0.75, 1.0])
    assert Schedule.of([{}, {"logit_weight": 0.5}]) is None
