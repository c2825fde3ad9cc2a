"""Evidence: how often intervals hold the truth and verdicts are wrong, where the true NE of every ranker is known.

Clicks are drawn from known log-odds; a ranker errs on them by noise, by a shift, or by both, so that its expected cross
entropy is known to four digits. Numbers of rows are chosen by the clicks that they hold.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from distill.bench.figure import Figure
from distill.bench.rounds import Scale
from distill.evidence import Sums, method_gain, ne_gain, paired, verdict
from distill.metrics import base_entropy, cross_entropy

CLICKS = (10, 20, 30, 60, 120, 400)
"""Expected clicks among the test rows."""

INTERVALS, STUDIES = 4_000, 1_500
"""Intervals for each number of clicks, and claims about a method."""

LEVELS = (-1.0, -3.0)
"""Log-odds around which the truth lies: 30 and 7 % of the rows are clicks."""

SEEDS, VERTICALS = 3, 8
RESAMPLES = 400
MANY = 400_000
"""Rows from which a true NE is known."""


class Error(NamedTuple):
    """How a ranker errs: noise of this spread, and a shift, in log-odds."""

    spread: float
    shift: float = 0.0

    def scores(self, truth: Float[np.ndarray, " rows"], draw: np.random.Generator) -> Float[np.ndarray, " rows"]:
        """What it says of rows whose true log-odds are given."""
        return truth + self.shift + self.spread * draw.normal(size=len(truth))


PAIRS = ((Error(0.9), Error(0.6)), (Error(0.5, 0.5), Error(0.5)), (Error(0.4), Error(0.4, 0.3)))
"""A control and a student each: better by less noise, better by a shift, worse by a shift."""


def measure(scale: Scale) -> Iterator[Figure]:
    """Coverage and wrong verdicts by number of clicks, then wrong claims between two methods that are one."""
    for clicks in CLICKS:
        yield from _of_pairs(clicks, scale.of(INTERVALS, least=6))
    wrong = [_claim(number) != "undecided" for number in range(scale.of(STUDIES, least=4))]
    yield Figure("evidence/wrong-method-claims", [float(np.mean(wrong))], "of claims", 0.05, "at most")


def _of_pairs(clicks: int, count: int) -> Iterator[Figure]:
    """Share of intervals that hold the true gain, and of equal rankers that a verdict tells apart, to either side."""
    draw = np.random.default_rng(clicks)
    found = [_interval(PAIRS[number % 3], LEVELS[number % 2], clicks, draw) for number in range(count)]
    yield Figure(f"evidence/coverage-{clicks}-clicks", [float(np.mean(found))], "of intervals", 0.93)
    words = [_equals(LEVELS[number % 2], clicks, draw) for number in range(count)]
    for word in ("helped", "hurt"):
        yield Figure(
            f"evidence/wrongly-{word}-{clicks}-clicks", [words.count(word) / count], "of pairs", 0.04, "at most"
        )


def _interval(errors: tuple[Error, Error], level: float, clicks: int, draw: np.random.Generator) -> bool:
    gain = ne_gain(_sums(errors, level, clicks, draw))
    return gain.low <= _true_gain(errors, level) <= gain.high


def _equals(level: float, clicks: int, draw: np.random.Generator) -> str:
    error = PAIRS[int(draw.integers(3))][1]
    sums = _sums((error, error), level, clicks, draw)
    return verdict(ne_gain(sums), sums, negligible=0.0, min_positives=30).word


def _sums(errors: Sequence[Error], level: float, clicks: int, draw: np.random.Generator) -> Sums:
    truth, label = _rows(round(clicks / _rate(level)), level, draw)
    control, student = (error.scores(truth, draw)[None] for error in errors)
    cluster = np.arange(len(truth)) + int(draw.integers(2**40))
    return paired(cluster, label, np.ones(len(truth)), control, student, resamples=RESAMPLES)[0]


def _claim(number: int) -> str:
    """What three seeds say of two controls, each of whose students errs by a shift of its own."""
    draw = np.random.default_rng([7, number])
    rows = [_rows(round(60 / _rate(LEVELS[0])), LEVELS[0], draw) for _ in range(VERTICALS)]
    truth, label = (np.concatenate(column) for column in zip(*rows, strict=True))
    arms = [[_students(truth, draw) for _ in range(SEEDS)] for _ in range(2)]
    cluster = np.arange(len(truth)) + int(draw.integers(2**40))
    by_seed = paired(cluster, label, np.ones(len(truth)), *map(np.stack, arms), resamples=RESAMPLES // 2)
    return method_gain(by_seed).word


def _students(truth: Float[np.ndarray, " rows"], draw: np.random.Generator) -> Float[np.ndarray, " rows"]:
    """Scores of one seed's students, one a vertical: chance moves each as a whole, and all of them a little."""
    parts = np.array_split(truth, VERTICALS)
    common = 0.1 * draw.normal()
    return np.concatenate([Error(0.4, 0.2 + common + 0.2 * draw.normal()).scores(part, draw) for part in parts])


def _rows(count: int, level: float, draw: np.random.Generator) -> tuple[Float[np.ndarray, " rows"], ...]:
    truth = level + draw.normal(size=count)
    return truth, (draw.random(count) < 1 / (1 + np.exp(-truth))).astype(np.float64)


@cache
def _rate(level: float) -> float:
    truth = level + np.random.default_rng(0).normal(size=MANY)
    return float((1 / (1 + np.exp(-truth))).mean())


@cache
def _true_gain(errors: tuple[Error, Error], level: float) -> float:
    """The gain in NE of infinitely many rows: labels are probabilities, so that only the errors are drawn."""
    draw = np.random.default_rng(1)
    truth = level + draw.normal(size=MANY)
    chance = 1 / (1 + np.exp(-truth))
    control, student = (cross_entropy(error.scores(truth, draw), chance).sum() for error in errors)
    return float((control - student) / base_entropy(chance))
