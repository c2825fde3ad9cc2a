"""Hashes against Python's whole numbers: what they are today, they must be for ever."""

import hashlib

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.data.hashing import NULL, Part, RowDigest, hashes, mixed, of_lists

MASK = 2**64 - 1


def splitmix(state: int) -> int:
    state = (state + 0x9E3779B97F4A7C15) & MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
    return state ^ (state >> 31)


def text_hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def test_the_published_first_number():
    assert mixed(np.zeros(1, dtype=np.uint64))[0] == 0xE220A8397B1DCDAF


@given(st.integers(-(2**63), 2**63 - 1), st.text(max_size=3))
def test_whole_numbers(value, salt):
    plain = splitmix(value & MASK)
    wanted = splitmix(plain ^ text_hash(salt)) if salt else plain
    assert hashes(pl.Series([value], dtype=pl.Int64), salt)[0] == wanted


@given(st.text(max_size=5))
def test_text(value):
    assert hashes(pl.Series([value]), "feature")[0] == splitmix(text_hash(value) ^ text_hash("feature"))


@pytest.mark.parametrize("kind", [pl.Int64, pl.Float64, pl.String])
def test_null_is_null_in_every_kind(kind):
    assert hashes(pl.Series([None], dtype=kind))[0] == NULL


def test_zeros_are_one_number():
    assert np.unique(hashes(pl.Series([0.0, -0.0]))).size == 1


def part(*columns: list[int], rows: tuple[int, ...] = (0, 1)) -> Part:
    digest = RowDigest(2)
    for column in columns:
        digest.add(hashes(pl.Series(column)))
    return Part.of(digest.state[list(rows)])


def test_rows_tell_columns_and_order_apart():
    names = [part([1, 2], [3, 4]), part([3, 4], [1, 2]), part([1, 2], [4, 3]), part([1, 2]), part([1, 2], rows=(1, 0))]
    assert len(set(names)) == len(names)
    assert part([5, 6], rows=(0,)) == part([5, 7], rows=(0,))


@given(st.lists(st.integers(0, 2**64 - 1), max_size=9), st.integers(0, 9))
def test_digests_of_successive_rows_add_up(states, cut):
    states = np.array(states, dtype=np.uint64)
    assert Part.of(states[:cut]).then(Part.of(states[cut:])) == Part.of(states)


def test_groups_have_digests_of_their_own():
    digest = RowDigest(5)
    digest.add(hashes(pl.Series([1, 2, 3, 4, 5])))
    found = digest.parts(np.array([2, 0, 2, 0, 2]), ["a", "b", "c"])
    assert found == {"a": Part.of(digest.state[[1, 3]]), "c": Part.of(digest.state[[0, 2, 4]])}


@given(st.lists(st.lists(st.integers(0, 3), max_size=3), max_size=4))
def test_lists_differ_as_their_entries_and_order_do(lists):
    marks = hashes(pl.Series([entry for one in lists for entry in one], dtype=pl.Int64))
    found = of_lists(marks, np.array([len(one) for one in lists], dtype=np.int64))
    assert len(set(found.tolist())) == len(set(map(tuple, lists)))
