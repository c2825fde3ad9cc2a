"""Buckets: every row once, next to no padding, and small enough for a cache."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from distill.layers.sequence import buckets, in_buckets


@given(lengths=st.lists(st.integers(0, 200), max_size=60), tokens=st.integers(1, 2000))
def test_every_row_is_in_one_bucket_that_is_long_enough_and_not_too_large(lengths: list[int], tokens: int):
    length = np.array(sorted(lengths, reverse=True), dtype=np.int64)
    cut = list(buckets._buckets(length, tokens))
    assert sum(bucket.rows for bucket in cut) == len(length)
    first = 0
    for bucket in cut:
        own = length[first : first + bucket.rows]
        assert bucket.longest == own.max()
        assert own.min() >= min(bucket.longest - buckets.SLACK, buckets.SHORTER * bucket.longest)
        assert bucket.rows == 1 or bucket.rows * (bucket.longest + 1) <= tokens
        first += bucket.rows


@pytest.fixture
def seen() -> list[tuple[int, ...]]:
    return []


def test_rows_come_back_as_they_came_with_all_that_belongs_to_them(seen):
    def call(present: Tensor, steps: Tensor, nothing: None, rows: Tensor) -> Tensor:
        assert nothing is None
        seen.append(tuple(present.shape))
        assert steps.shape[:2] == present.shape
        return (steps * present).sum(-1, keepdim=True) + 1000 * rows

    lengths = torch.tensor([2, 40, 0, 1, 39])
    present = torch.arange(50) < lengths[:, None]
    rows = torch.arange(5)[:, None]
    said = in_buckets(call, present, (torch.ones(5, 50, dtype=torch.int64), None), (rows,))
    assert said[:, 0].tolist() == [2, 1040, 2000, 3001, 4039]
    assert seen == [(2, 40), (3, 2)]
