"""Every member sees its own rows, in an order that is its own."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distill.sampling import FILL, Shuffled, hidden, in_time

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


def test_ids_are_hidden_at_their_rate() -> None:
    """Drawn from seed and step: the same for twins, other in the next step."""
    rates = torch.tensor([0.0, 0.5, 0.9])
    mask = hidden(rates, [3, 3, 4], step=2, rows=4000)
    assert mask.float().mean(1)[0].tolist() == pytest.approx([0.0, 0.5, 0.9], abs=0.03)
    assert torch.equal(mask[0], mask[1])
    assert not torch.equal(mask[0], mask[2])
    assert not torch.equal(mask[0], hidden(rates, [3], step=3, rows=4000)[0])


def test_few_rows_are_cut_into_steps_enough() -> None:
    """As many as asked for, as far as there are rows."""
    steps = Shuffled([np.arange(1000), np.arange(90), np.arange(7)], [1, 2, 3], 64, [1, 1, 1], least=12)
    assert steps.pass_steps.tolist() == [16, 12, 7]
