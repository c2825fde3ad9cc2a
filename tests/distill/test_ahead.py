"""A thread makes the next batch: the same ones, in the same order, and it is gone when nobody wants any more."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from distill.ahead import Ahead


def threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("feed")]


@pytest.fixture(autouse=True)
def _nobody_is_left() -> Iterator[None]:
    yield
    assert threads() == []


def test_batches_come_in_order_and_all_of_them() -> None:
    ahead = Ahead(range(1, 50))
    assert list(ahead) == list(range(1, 50)) == list(ahead)
    assert len(ahead) == 49 and list(Ahead([])) == []


def test_the_next_one_is_made_by_a_thread_while_the_last_is_used() -> None:
    """One is ahead, and no more: each holds memory."""
    made: dict[int, str] = {}
    second = threading.Event()

    def batches() -> Iterator[int]:
        for number in range(1, 6):
            made[number] = threading.current_thread().name
            if number == 2:
                second.set()
            yield number

    with closing(Ahead(batches())) as ahead:
        first = next(iter(ahead))
        assert first == 1 and second.wait(10)
        assert made.keys() == {1, 2} and all(name.startswith("feed") for name in made.values())


def test_an_error_is_raised_where_the_batch_was_wanted() -> None:
    """Behind the batches before it."""

    def broken() -> Iterator[int]:
        yield from (1, 2)
        raise OSError("the disk is gone")

    seen: list[int] = []
    with pytest.raises(OSError, match="the disk is gone"):
        for number in Ahead(broken()):
            seen.append(number)
    assert seen == [1, 2]


def test_who_stops_early_or_fails_takes_the_thread_along() -> None:
    with pytest.raises(ZeroDivisionError), closing(Ahead(range(1, 9))) as ahead:
        for batch in ahead:
            assert threads()
            1 / (batch - 3)


def test_nothing_is_started_that_nobody_asked_for() -> None:
    """Lightning asks for an iterator only to see whether there is one."""
    ahead = Ahead(range(1, 9))
    iter(ahead)
    assert threads() == []
    ahead.close()
