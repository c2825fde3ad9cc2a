"""Which rows train, validate and test."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.data.impressions import TEST, TRAIN, UNUSED, VALID
from distill.errors import DataError


def by_time(load_frame, times: list, valid: object, test: object) -> list[int]:
    frame = pl.DataFrame({"label": [0, 1] * (len(times) // 2), "vertical": "v", "at": times, "n": 1})
    split = {"by": "time", "valid": valid, "test": test}
    return load_frame(frame, time="at", split=split, features={"n": "numeric"}).split.tolist()


DAYS = [date(2030, 1, day) for day in (1, 2, 3, 4)]
NOONS = [datetime(2030, 1, day, 12) for day in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("times", "valid", "test"),
    [
        ([1, 2, 3, 4], 3, 4),
        ([1, 2, 3, 4], 2.5, "4"),
        ([0.1, 0.2, 0.3, 0.4], 0.3, 0.4),
        ([2**60, 2**60 + 1, 2**60 + 256, 2**60 + 512], float(2**60 + 256), float(2**60 + 512)),
        (DAYS, "2030-01-03", "2030-01-04"),
        (NOONS, "2030-01-03", "2030-01-04T12:00"),
        (NOONS, "2030-01-02T12:00:01", "2030-01-04 00:00"),
        ([moment.replace(tzinfo=UTC) for moment in NOONS], "2030-01-03T00:00Z", "2030-01-04T13:00:00+01:00"),
        ([day.isoformat() for day in DAYS], "2030-01-03", "2030-01-04"),
        ([moment.isoformat() for moment in NOONS], "2030-01-03", "2030-01-04"),
    ],
)
def test_rows_before_valid_train_and_rows_from_test_on_test(load_frame, times, valid, test):
    assert by_time(load_frame, times, valid, test) == [TRAIN, TRAIN, VALID, TEST]


@pytest.mark.parametrize(
    ("times", "bound", "remedy"),
    [
        ([1, 2], "2030-01-03", "Give a number."),
        (DAYS[:2], 3, "Give an ISO date."),
        (DAYS[:2], "2030-01-03T12:00", "Give an ISO date."),
        (NOONS[:2], "soon", "Give an ISO time."),
        (NOONS[:2], "2030-01-03T00:00Z", "Give an ISO time."),
        ([moment.replace(tzinfo=UTC) for moment in NOONS[:2]], "2030-01-03", "with its zone"),
    ],
)
def test_a_bound_of_another_kind(load_frame, times, bound, remedy):
    with pytest.raises(DataError, match=r'data.split: "[^"]*" cannot be compared with .*`at`') as caught:
        by_time(load_frame, times, bound, bound)
    assert remedy in str(caught.value)


@pytest.mark.parametrize("times", [[1, 2], ["2030-01-01T00:00Z", "2030-01-02T00:00Z"]])
def test_such_a_bound_is_told_with_all_else(load_frame, times):
    frame = pl.DataFrame({"label": [0, 7], "vertical": "v", "at": times, "n": 1})
    split = {"by": "time", "valid": "2030-01-03", "test": "2030-01-04"}
    with pytest.raises(DataError) as caught:
        load_frame(frame, time="at", split=split, features={"n": "numeric", "m": "numeric"})
    told = " ".join(map(str, caught.value.faults))
    assert all(word in told for word in ('data.split: "2030-01-03" cannot be', "column `label`", "column `m`"))


@pytest.mark.parametrize("times", [DAYS, NOONS, [0.5, 1.5, 2.5, 1e300], [moment.isoformat() for moment in NOONS]])
def test_time_keeps_its_order(load_frame, times):
    frame = pl.DataFrame({"label": [0, 1, 0, 1], "vertical": "v", "at": times, "split": "train", "n": 1}).reverse()
    time = load_frame(frame, time="at", features={"n": "numeric"}).time
    assert time.dtype in (np.int64, np.float64) and np.argsort(time).tolist() == [3, 2, 1, 0]


def dealt(load_frame, keys: list, **shares: float) -> dict:
    frame = pl.DataFrame({"label": [0, 1] * (len(keys) // 2), "vertical": "v", "key": keys, "n": 1}, strict=False)
    split = {"by": "hash", "column": "key"} | shares
    return dict(zip(keys, load_frame(frame, split=split, features={"n": "numeric"}).split.tolist(), strict=True))


def test_a_key_is_never_split_and_shares_are_about_right(load_frame):
    keys = [key for key in range(4000) for _ in range(2)]
    found = dealt(load_frame, keys, valid=0.2, test=0.3)
    frame = pl.DataFrame({"label": [0, 1] * 4000, "vertical": "v", "key": keys, "n": 1})
    rows = load_frame(
        frame, split={"by": "hash", "column": "key", "valid": 0.2, "test": 0.3}, features={"n": "numeric"}
    )
    assert rows.split[::2].tolist() == rows.split[1::2].tolist() == list(found.values())
    share = Counter(found.values())
    assert share[VALID] / 4000 == pytest.approx(0.2, abs=0.02) and share[TEST] / 4000 == pytest.approx(0.3, abs=0.02)


@settings(max_examples=10, deadline=None)
@given(st.sets(st.integers(-(2**62), 2**62), min_size=30, max_size=60), st.randoms())
def test_a_key_stays_where_it_is_whatever_comes_along(load_frame, keys, random):
    some = sorted(keys)
    more = [key + 1 for key in some] + some
    random.shuffle(more)
    before, after = dealt(load_frame, some[: len(some) // 2 * 2]), dealt(load_frame, more)
    assert all(after[key] == before[key] for key in before)


def test_where_keys_are_dealt_to_is_written_in_stone(load_frame):
    """A library's new version must not move a user from test to train."""
    found = dealt(load_frame, [f"user-{n}" for n in range(12)], valid=0.3, test=0.3)
    assert list(found.values()) == [1, 0, 1, 1, 2, 2, 2, 1, 0, 2, 1, 0]


def test_a_larger_test_share_only_adds_to_it(load_frame):
    keys = list(range(200))
    small, large = dealt(load_frame, keys, test=0.1), dealt(load_frame, keys, test=0.4)
    assert all(large[key] == TEST for key in keys if small[key] == TEST)


def test_dates_and_times_may_lie_anywhere(load_frame):
    times = [datetime(1900, 1, 1) + timedelta(days=40_000 * n, microseconds=n) for n in range(4)]
    assert by_time(load_frame, times, times[2].isoformat(), times[3].isoformat()) == [TRAIN, TRAIN, VALID, TEST]


GAPS = [
    ([1, 2, 3, 4, 5, 6], 3, 5, 1),
    ([0.5, 2, 3, 4.5, 5, 6], 3, 5, 1.0),
    ([date(2030, 1, day) for day in (1, 4, 5, 6, 7, 8)], "2030-01-05", "2030-01-07", "1d"),
    ([datetime(2030, 1, day, 12) for day in (1, 4, 5, 6, 7, 8)], "2030-01-05", "2030-01-07", "36h"),
    ([f"2030-01-0{day}T12:00Z" for day in (1, 4, 5, 6, 7, 8)], "2030-01-05T00:00Z", "2030-01-07T00:00Z", "1d"),
]


@pytest.mark.parametrize(("times", "valid", "test", "gap"), GAPS)
def test_rows_in_a_gap_belong_to_no_split(load_frame, times, valid, test, gap):
    frame = pl.DataFrame({"label": [0, 1] * 3, "vertical": "v", "at": times, "n": 1})
    split = {"by": "time", "valid": valid, "test": test, "gap": gap}
    data = load_frame(frame, time="at", split=split, features={"n": "numeric"})
    unused = {"36h": [TRAIN, UNUSED, UNUSED, UNUSED, TEST, TEST]}
    assert data.split.tolist() == unused.get(gap, [TRAIN, UNUSED, VALID, UNUSED, TEST, TEST])
    assert sum(len(data.select(code)) for code in (TRAIN, VALID, TEST)) == 6 - data.split.tolist().count(UNUSED)


@pytest.mark.parametrize(
    ("times", "gap", "said"),
    [
        (DAYS, "36h", "is no number of days"),
        (DAYS, "a week", "is no duration. Write it as 36h or 2d"),
        (NOONS, 3, "is no duration"),
        ([1, 2, 3, 4], "2d", "is no number, as the times are"),
    ],
)
def test_a_gap_of_another_kind(load_frame, times, gap, said):
    frame = pl.DataFrame({"label": [0, 1] * 2, "vertical": "v", "at": times, "n": 1})
    bound = 3 if times == [1, 2, 3, 4] else "2030-01-03"
    split = {"by": "time", "valid": bound, "test": 4 if bound == 3 else "2030-01-04", "gap": gap}
    with pytest.raises(DataError, match=said):
        load_frame(frame, time="at", split=split, features={"n": "numeric"})
