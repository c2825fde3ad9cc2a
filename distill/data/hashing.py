"""Hashes of values that are the same on every machine and with every version of every library."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

NULL = np.uint64(0x5851F42D4C957F2D)
"""Hash of a missing value."""


def mixed(bits: Hashes) -> Hashes:
    """Numbers each of whose bits depends on all bits of `bits`, one to one.

    The generator of SplitMix64 (G. Steele, D. Lea, C. Flood, Fast Splittable Pseudorandom Number Generators, 2014).
    """
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def hashes(values: pl.Series, salt: str = "") -> Hashes:
    """The hash of each value of a plain series (see `kinds.plain`); another one for each `salt`.

    Numbers hash by their 64 bits, text by the BLAKE2b of its UTF-8 bytes. Text is hashed one by one: give distinct
    values where there are many.
    """
    found = _text(values) if values.dtype == pl.String else of_numbers(values.fill_null(0).to_numpy())
    found = np.where(values.is_null().to_numpy(), NULL, found)
    return salted(found, salt) if salt else found


def salted(marks: Hashes, salt: str) -> Hashes:
    """Other hashes of the same values, for each `salt` others."""
    return mixed(marks ^ _digest(salt.encode()))


def digests(values: pl.Series) -> Hashes:
    """As `hashes`, much faster for text, but other ones: for fingerprints and look-ups, where only equality counts."""
    if values.dtype != pl.String:
        return hashes(values)
    distinct = values.drop_nulls().unique(maintain_order=True)
    if len(distinct) * 4 > len(values) or not len(distinct):
        return _of_bytes(values)
    numbers = pl.int_range(1, len(distinct) + 1, eager=True)
    place = values.replace_strict(distinct, numbers, default=0, return_dtype=pl.Int64)
    return np.append(NULL, _of_bytes(distinct))[place.to_numpy()]


def _of_bytes(text: pl.Series) -> Hashes:
    filled = text.fill_null("")
    flat = np.frombuffer("".join(filled.to_list()).encode(), dtype=np.uint8).astype(np.uint64)
    return np.where(text.is_null().to_numpy(), NULL, of_lists(flat, filled.str.len_bytes().to_numpy()))


def of_numbers(numbers: NDArray) -> Hashes:
    """The hash of each number by its value; one for all NaN, and one for both zeros."""
    if numbers.dtype.kind != "f":
        return mixed(numbers.astype(np.int64).view(np.uint64))
    wide = numbers.astype(np.float64) + 0.0  # -0.0 + 0.0 is 0.0
    wide[np.isnan(wide)] = np.nan
    return mixed(wide.view(np.uint64))


def _text(values: pl.Series) -> Hashes:
    return np.array([_digest(value.encode()) for value in values.fill_null("").to_list()], dtype=np.uint64)


def _digest(text: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little"))


STEP = np.uint64(0xD1342543DE82EF95)
"""An odd number; columns, and rows, are terms of polynomials in it, modulo 2^64."""


class RowDigest:
    """One number a row that changes when any column of the row does."""

    def __init__(self, rows: int) -> None:
        self.state = np.zeros(rows, dtype=np.uint64)

    def add(self, column: Hashes) -> None:
        """Adds a column: the next term of the polynomial."""
        self.state *= STEP
        self.state += column

    def parts(self, group: NDArray[np.integer], names: Sequence[str]) -> dict[str, "Part"]:
        """The digest of the rows of each group that has any, in their order."""
        order = np.argsort(group, kind="stable")
        ends = np.bincount(group, minlength=len(names)).cumsum()
        rows = zip(names, np.split(self.state[order], ends[:-1]), strict=True)
        return {name: Part.of(members) for name, members in rows if len(members)}


class Part(NamedTuple):
    """The digest of some rows, of their content and order and of nothing else; digests of successive rows add up."""

    rows: int
    value: int

    @classmethod
    def of(cls, states: Hashes) -> "Part":
        """Of rows in a row: the next row is the next term."""
        powers = np.cumprod(np.full(len(states), STEP))[::-1]
        return cls(len(states), int((mixed(states) * powers).sum()))

    def then(self, other: "Part") -> "Part":
        """These rows, and the others after them."""
        return Part(
            self.rows + other.rows, (self.value * pow(int(STEP), other.rows, 1 << 64) + other.value) % (1 << 64)
        )


def of_lists(marks: Hashes, lengths: NDArray[np.integer]) -> Hashes:
    """The hash of each list from those of its entries, all lists in a row: entries, order and length count."""
    starts = np.cumsum(lengths) - lengths
    place = np.arange(len(marks), dtype=np.uint64) - np.repeat(starts, lengths).astype(np.uint64)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed(marks + place * STEP))])
    return mixed(sums[starts + lengths] - sums[starts] + lengths.astype(np.uint64))
