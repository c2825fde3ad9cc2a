"""Rounds: two ways of doing the same work, timed in turn in one process."""

import resource
from collections.abc import Callable
from typing import NamedTuple

Work = Callable[[], object]


class Scale(NamedTuple):
    """How much a benchmark does; tests make it tiny.

    Attributes:
        share: of the full number of rows, ids and members.
        rounds: times that everything is measured, after one round that is not counted.
    """

    share: float = 1.0
    rounds: int = 5

    def of(self, count: int, least: int = 1) -> int:
        """That share of a number.

        Example:
            >>> Scale(0.01).of(20_480), Scale(0.01).of(32, least=2)
            (205, 2)
        """
        return max(least, round(self.share * count))


FULL = Scale()
"""What `distill bench` does."""


def cpu_seconds() -> float:
    """User and system time of this process, of all its threads, and of the children that it has waited for."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def seconds_of(work: Work, clock: Callable[[], float] = cpu_seconds) -> float:
    """What one call costs. CPU time, unless the wall clock is the point: a busy neighbour disturbs it less."""
    start = clock()
    work()
    return clock() - start


def in_turn(
    scale: Scale, *works: Work, clock: Callable[[], float] = cpu_seconds, warm: bool = True
) -> list[list[float]]:
    """The seconds of each work in each round, measured A B A B.

    Args:
        scale: says how many rounds.
        works: what is compared; each call does all of it again.
        clock: what seconds are.
        warm: whether a round that is not counted goes before; whole processes have nothing to warm up.

    Example:
        >>> said = []
        >>> seconds = in_turn(Scale(rounds=2), lambda: said.append("A"), lambda: said.append("B"))
        >>> "".join(said), [len(of_one) for of_one in seconds]
        ('ABABAB', [2, 2])
    """
    for work in works if warm else ():
        work()
    rounds = [[seconds_of(work, clock) for work in works] for _ in range(scale.rounds)]
    return [list(of_one) for of_one in zip(*rounds, strict=True)]


def ratios(numerators: list[float], denominators: list[float]) -> list[float]:
    """One ratio a round, so that what slows down a whole round cancels out.

    Example:
        >>> ratios([6.0, 9.0], [2.0, 3.0])
        [3.0, 3.0]
    """
    return [numerator / denominator for numerator, denominator in zip(numerators, denominators, strict=True)]
