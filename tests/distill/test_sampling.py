"""Every member sees its own rows, in an order that is its own."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distill.sampling import FILL, Shuffled, in_time

SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=5)


@given(SIZES, st.integers(1, 16), st.integers(1, 3))
def test_a_pass_shows_each_row_once(sizes: list[int], batch: int, epochs: int) -> None:
    """And no step of a member is more than one row larger than another."""
    sizes = sorted(sizes, reverse=True)
    rows = [np.arange(size) + 1000 * place for place, size in enumerate(sizes)]
    steps = Shuffled(rows, list(range(len(rows))), batch, [epochs] * len(rows))
    seen: list[list[int]] = [[] for _ in rows]
    for step in steps:
        for member, own in enumerate(step):
            seen[member] += own[own != FILL].tolist()
            assert batch >= (own != FILL).sum() >= len(rows[member]) // int(steps.pass_steps[member])
    for member, own in enumerate(rows):
        for turn in range(epochs):
            assert sorted(seen[member][turn * len(own) : (turn + 1) * len(own)]) == own.tolist()


def test_the_order_depends_on_the_seed_alone() -> None:
    """Not on who else is in the stack, and not on the arm."""
    own = np.arange(100)
    alone = [step[0] for step in Shuffled([own], [5], 32, [2])]
    together = Shuffled([np.arange(900), own, own], [1, 5, 5], 32, [2, 2, 2])
    for step, rows in zip(alone, together, strict=False):
        assert torch.equal(step, rows[1][: len(step)])
        assert torch.equal(rows[1], rows[2])


@given(st.lists(st.integers(0, 20), min_size=1, max_size=60), st.integers(1, 16), st.integers(0, 5))
def test_rows_of_one_group_are_met_one_after_the_other(group: list[int], batch: int, seed: int) -> None:
    """Each row once a pass, groups in another order each pass; a member without groups beside it keeps every step."""
    own, groups = np.arange(len(group)) + 100, np.array(group)
    both = Shuffled([own, own], [seed, seed], batch, [2, 2], groups=[groups, None])
    alone = list(Shuffled([own], [seed], batch, [2]))
    met = [[], []]
    for step, plain in zip(both, alone, strict=True):
        assert torch.equal(step[1], plain[0])
        for member in (0, 1):
            met[member] += step[member][step[member] != FILL].tolist()
    for turn in range(2):
        one = np.array(met[0][turn * len(own) : (turn + 1) * len(own)])
        assert sorted(one) == own.tolist()
        seen = groups[one - 100]
        assert (np.diff(seen) != 0).sum() == len(set(group)) - 1
    if len(set(group)) > 12:
        assert met[0][: len(own)] != met[0][len(own) :]


def test_unsorted_members_are_refused() -> None:
    """Those that are done must be a suffix."""
    with pytest.raises(ValueError, match="longest first"):
        Shuffled([np.arange(3), np.arange(30)], [1, 2], 2, [1, 1])


@given(st.lists(st.integers(0, 12), min_size=1, max_size=80), st.integers(1, 9))
def test_blocks_follow_one_another_strictly_in_time(times: list[int], batch: int) -> None:
    """No tie is split, every row is learnt from once, and blocks hold a batch at least, but for the last."""
    time = np.array(times)
    blocks = in_time(np.arange(len(times)), time, batch, seed=0)
    assert sorted(np.concatenate([block.rows for block in blocks])) == list(range(len(times)))
    for block in blocks:
        assert sorted(np.concatenate(block.batches)) == sorted(block.rows)
    for earlier, later in pairwise(blocks):
        assert time[earlier.rows].max() < time[later.rows].min()
        assert len(earlier.rows) >= batch


def test_few_rows_are_cut_into_steps_enough() -> None:
    """As many as asked for, as far as there are rows."""
    steps = Shuffled([np.arange(1000), np.arange(90), np.arange(7)], [1, 2, 3], 64, [1, 1, 1], least=12)
    assert steps.pass_steps.tolist() == [16, 12, 7]
