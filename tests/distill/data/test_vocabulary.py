"""Codes, places and known values against dictionaries."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.data import known as module
from distill.data.known import Known
from distill.data.places import HashedPlaces
from distill.data.vocabulary import Vocabulary

PACE = settings(max_examples=40)

WHOLE = st.one_of(st.integers(-5, 5), st.integers(-(2**63), 2**63 - 1), st.sampled_from([2**63 - 1, -(2**63), 0]))
KINDS = {
    "Int64": (pl.Int64, WHOLE),
    "String": (pl.String, st.text(max_size=3)),
    "Float64": (pl.Float64, st.floats(-9, 9)),
}


@pytest.mark.parametrize("kind", KINDS)
@PACE
@given(data=st.data())
def test_codes_are_those_of_a_dictionary(kind, data):
    dtype, values = KINDS[kind]
    blocks = data.draw(st.lists(st.lists(st.none() | values, max_size=8), max_size=5))
    vocabulary, numbers, taken = Vocabulary(), {None: 0}, []
    for block in blocks:
        wanted = [numbers.setdefault(value, len(numbers)) for value in block]
        codes, _ = vocabulary.codes(pl.Series(block, dtype=dtype))
        assert codes.tolist() == wanted and vocabulary.size == len(numbers)
        fresh = vocabulary.committed()
        taken += [] if fresh is None else fresh.to_list()
    assert taken == list(numbers)[1:]


def test_numbers_that_drift_apart_keep_their_codes():
    vocabulary = Vocabulary()
    near, _ = vocabulary.codes(pl.Series(range(1000)))
    vocabulary.codes(pl.Series([2**60, -(2**60)]))
    assert vocabulary.codes(pl.Series(range(1000)))[0].tolist() == near.tolist() == list(range(1, 1001))
    assert vocabulary.codes(pl.Series([-(2**60), 2**60]))[0].tolist() == [1002, 1001]


def test_a_digest_is_of_the_value_and_not_of_those_beside_it():
    text = [f"v{n % 7}" for n in range(100)]
    for values in (pl.Series(text), pl.Series(range(100))):
        _, marks = Vocabulary().codes(values)
        single = [Vocabulary().codes(values[n : n + 1])[1][0] for n in range(100)]
        assert marks.tolist() == single


@given(st.lists(st.sets(st.integers(-(2**63), 2**63 - 1).filter(lambda key: key != -1), max_size=9), max_size=6))
def test_places_are_those_of_a_dictionary(batches):
    places, column, wanted = HashedPlaces(), np.zeros(0), {}
    places._keys = np.full(4, -1, dtype=np.int64)  # As few as make everything collide.
    column = np.zeros(places.size)
    for batch in batches:
        keys = np.array(sorted(batch), dtype=np.int64)
        moved = places.take_in(keys)
        if moved is not None:
            old, new = moved
            wider = np.zeros(places.size)
            wider[new] = column[old]
            column = wider
        column[places.find(keys)] += 1
        for key in batch:
            wanted[key] = wanted.get(key, 0) + 1
    keys = np.array(list(wanted), dtype=np.int64)
    assert column[places.find(keys)].tolist() == list(wanted.values())
    missing = np.array([key for key in range(50) if key not in wanted], dtype=np.int64)
    assert (places.find(missing) == places.size - 1).all()


@pytest.mark.parametrize("direct", [0, 10**6])
@PACE
@given(data=st.data(), fewest=st.integers(1, 3))
def test_known_ids_are_those_of_a_dictionary(direct, data, fewest):
    groups, codes = 3, 5
    pairs = st.lists(st.tuples(st.integers(0, groups - 1), st.integers(0, codes - 1)), max_size=12)
    blocks = data.draw(st.lists(pairs, max_size=4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "DIRECT", direct)
        found = Known(groups, codes, fewest)
    counts: dict[tuple[int, int], int] = {}
    ids: list[list[int]] = [[] for _ in range(groups)]
    for block in blocks:
        group, code = (np.array(column, dtype=np.int64) for column in (zip(*block, strict=True) if block else ([], [])))
        found.show(group, code.astype(np.int32))
        for pair in block:
            counts[pair] = counts.get(pair, 0) + 1
            if counts[pair] == fewest:
                ids[pair[0]].append(pair[1])
    assert found.heights.tolist() == [1 + len(known) for known in ids]
    assert found.values().tolist() == [code for known in ids for code in known]
    every = np.array([(group, code) for group in range(groups) for code in range(codes)])
    wanted = [1 + ids[group].index(code) if code in ids[group] else 0 for group, code in every]
    assert found.ids(every[:, 0], every[:, 1].astype(np.int32)).tolist() == wanted
