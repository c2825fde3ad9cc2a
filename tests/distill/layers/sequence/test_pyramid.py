"""Pyramid: newest steps as they are, older ones as means."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from distill.layers.sequence import pooled, reduced


@given(count=st.integers(0, 12), most=st.integers(1, 12), keep=st.integers(1, 5), ratio=st.integers(2, 4))
def test_is_a_loop_over_groups(count: int, most: int, keep: int, ratio: int):
    count = min(count, most)
    steps = torch.randn(1, most, 3, dtype=torch.float64)
    present = torch.arange(most)[None] < count
    found, there = pooled(steps, present, keep, ratio)
    wanted = list(steps[0, : min(keep, count)])
    for first in range(keep, count, ratio):
        group = steps[0, first : min(first + ratio, count)]
        wanted.append(group.mean(0))
    assert found.shape == (1, reduced(most, keep, ratio), 3)
    assert there[0].tolist() == [True] * len(wanted) + [False] * (found.shape[1] - len(wanted))
    for one, other in zip(found[0], wanted, strict=False):
        torch.testing.assert_close(one, other)


def test_the_newest_are_the_very_same():
    steps, present = torch.randn(2, 9, 3), torch.ones(2, 9, dtype=torch.bool)
    assert torch.equal(pooled(steps, present, 4, 3)[0][:, :4], steps[:, :4])


def test_a_group_is_the_same_however_far_rows_are_padded():
    steps, present = torch.randn(1, 9, 3), torch.arange(9)[None] < 6
    short, _ = pooled(steps[:, :6], present[:, :6], 2, 3)
    long, _ = pooled(steps, present, 2, 3)
    torch.testing.assert_close(long[:, : short.shape[1]], short)
    assert not long[:, short.shape[1] :].any()
