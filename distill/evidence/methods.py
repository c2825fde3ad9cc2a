"""Claims about a method: this way of teaching against that one, over several seeds and never from one.

Another student of the same recipe differs by its seed, and another day differs by its rows. Both count: the interval
adds the seeds' variance, with the t quantile that so few of them have, to that of the rows. Three seeds are never
resampled: a bootstrap of three has ten outcomes and misses one time in four. The teacher is one: a claim is about
students of this teacher.
Sources: Confidence Intervals on Linear Combinations of Variance Components, Burdick and Graybill, 1992 (adding the
squares of half-widths); Accounting for Variance in Machine Learning Benchmarks, Bouthillier et al., 2021.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from distill.evidence.estimates import NOTHING, Estimate, ne_gain, ratio, t_quantile, undefined, unsure
from distill.evidence.resampling import Sums, pool

KEPT = 200
"""Resamples that are written down for later comparisons: they tell a standard error to 5 %."""


class Claim(NamedTuple):
    """What several seeds say of a method.

    Attributes:
        gain: mean over seeds, in NE, with its interval; no interval from one seed.
        word: `better` or `worse` than the other method, or `undecided`.
        seeds: how many.
        seed_spread: standard deviation over seeds, on the same rows; NaN for one.
        row_error: standard error from the rows, which more seeds do not lower.
    """

    gain: Estimate
    word: Literal["better", "worse", "undecided"]
    seeds: int
    seed_spread: float
    row_error: float


def method_gain(by_seed: Sequence[Sums], level: float = 0.95) -> Claim:
    """What all students of a method gain over all of their controls.

    Args:
        by_seed: for each seed, the sums over all its students (`pool`), of the same rows.
        level: coverage of the interval.
    """
    return _claim([(one.control - one.student) / one.base_entropy for one in by_seed], by_seed, level)


def method_difference(ours: Sequence[Sums], theirs: Sequence[Sums], level: float = 0.95) -> Claim:
    """NE of the students of one method minus that of another's, positive where the first are better.

    Args:
        ours: for each seed, the sums of the first method.
        theirs: the same of the second, of the same seeds, rows and resamples.
        level: coverage of the interval.
    """
    if not all(comparable(one, other) for one, other in zip(ours, theirs, strict=True)):
        return Claim(undefined("they were not tested on the same rows"), "undecided", len(ours), math.nan, math.nan)
    gains = [(other.student - one.student) / one.base_entropy for one, other in zip(ours, theirs, strict=True)]
    return _claim(gains, ours, level)


def comparable(one: Sums, other: Sums) -> bool:
    """Whether two runs were judged on the same rows in the same resamples: the base rates say so."""
    return np.array_equal(one.base_entropy, other.base_entropy)


def times_plain(ours: Sums, plain: Sums, level: float = 0.95) -> Estimate:
    """How many times the gain of plain distillation a method has, each against controls of its own.

    Undefined where plain distillation gains nothing, and without an interval where it may not.
    """
    if not comparable(ours, plain):
        return undefined("they were not tested on the same rows")
    return _share(ours.control - ours.student, plain.control - plain.student, plain, "the baseline", level)


def transfer_ratio(before: Sums, after: Sums, level: float = 0.95) -> Estimate:
    """What students gain by a better teacher, over what the teacher itself gained; not comparable with `gap_closed`.

    Args:
        before: of the students of the first teacher.
        after: of the students of the second, on the same rows.
        level: coverage of the interval.
    """
    if not comparable(before, after):
        return undefined("they were not tested on the same rows")
    if math.isnan(before.teacher[0]) or math.isnan(after.teacher[0]):
        return undefined("a teacher did not score every test row")
    taught = before._replace(control=before.teacher, student=after.teacher)
    return _share(before.student - after.student, taught.control - taught.student, taught, "the second teacher", level)


def by_seed(sums: Mapping[int, Sequence[Sums]]) -> dict[int, Sums]:
    """Seed -> all its students as one."""
    return {seed: pool(found) for seed, found in sums.items()}


def mean(by_seed: Sequence[Sums]) -> Sums:
    """Several seeds of one student as one: their mean on the rows that all of them were tested on."""
    draws = {name: np.mean([getattr(one, name) for one in by_seed], axis=0) for name in ("control", "student")}
    return by_seed[0]._replace(**draws)


def kept(sums: Sums, resamples: int = KEPT) -> dict[str, Any]:
    """What later comparisons need of it, as plain values: as observed, and the first resamples."""
    draws = {name: [float(f"{value:.9g}") for value in getattr(sums, name)[: resamples + 1]] for name in _DRAWS}
    draws["teacher"] = None if math.isnan(sums.teacher[0]) else draws["teacher"]
    return {**draws, "clicked": sums.clicked, "unclicked": sums.unclicked}


def taken_up(kept: Mapping[str, Any]) -> Sums:
    """The sums that were written down."""
    draws = {name: np.array(kept[name]) for name in _DRAWS if kept[name] is not None}
    missing = np.full(len(kept["base_entropy"]), np.nan)
    return Sums(**{"teacher": missing} | draws, clicked=kept["clicked"], unclicked=kept["unclicked"])


_DRAWS = ("base_entropy", "control", "student", "teacher")


def _claim(gains: Sequence[Float[np.ndarray, " draws"]], rows: Sequence[Sums], level: float) -> Claim:
    """Mean over seeds, with half-widths of seeds and rows added as squares."""
    if not gains or not all(np.isfinite(one[0]) for one in gains):
        return Claim(NOTHING, "undecided", len(gains), math.nan, math.nan)
    observed = np.array([one[0] for one in gains])
    value = float(observed.mean())
    row_error = float(np.std(np.mean(gains, axis=0)[1:], ddof=1))
    if len(gains) < 2:
        return Claim(unsure(value, "one seed says nothing of a method"), "undecided", 1, math.nan, row_error)
    spread = float(observed.std(ddof=1))
    clusters = max(2, min(min(one.clicked, one.unclicked) for one in rows))
    by_seeds = t_quantile((1 + level) / 2, len(gains) - 1) * spread / math.sqrt(len(gains))
    by_rows = t_quantile((1 + level) / 2, clusters - 1) * row_error
    reach = math.hypot(by_seeds, by_rows)
    word = "better" if value > reach else "worse" if value < -reach else "undecided"
    return Claim(Estimate(value, value - reach, value + reach), word, len(gains), spread, row_error)


def _share(
    numerator: Float[np.ndarray, " draws"], denominator: Float[np.ndarray, " draws"], sums: Sums, who: str, level: float
) -> Estimate:
    """A ratio of gains; undefined where the lower one is none, without an interval where it may be none."""
    lower = ne_gain(sums, level)
    if math.isnan(lower.value):
        return lower
    if lower.value <= 0:
        return undefined(f"{who} gains nothing")
    found = ratio(numerator, denominator, sums, level)
    return found if lower.low > 0 else unsure(found.value, f"it is not sure that {who} gains anything")
