"""Hashes against Python's whole numbers: what they are today, they must be for ever."""

import hashlib

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.data.hashing import NULL, RowDigest, hashes, mixed

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


def test_rows_tell_columns_and_order_apart():
    def part(*columns: list[int], rows: tuple[int, ...] = (0, 1)) -> str:
        digest = RowDigest(2)
        for column in columns:
            digest.add(hashes(pl.Series(column)))
        return digest.part(np.array(rows))

    names = [part([1, 2], [3, 4]), part([3, 4], [1, 2]), part([1, 2], [4, 3]), part([1, 2]), part([1, 2], rows=(1, 0))]
    assert len(set(names)) == len(names)
    assert part([5, 6], rows=(0,)) == part([5, 7], rows=(0,))
