"""Verdicts: what the interval of a gain allows to say of one student, and what of that stands among hundreds."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from distill.evidence.estimates import Estimate, detectable
from distill.evidence.resampling import Sums

Word = Literal["helped", "hurt", "unchanged", "undecided"]


class Verdict(NamedTuple):
    """What a gain says of a student, and why it says no more."""

    word: Word
    reason: str = ""


def verdict(gain: Estimate, sums: Sums, *, negligible: float, min_positives: int) -> Verdict:
    """What the interval of a gain allows to say.

    Args:
        gain: the gain in NE.
        sums: where it comes from.
        negligible: a gain whose whole interval is nearer to 0 than this is `unchanged`.
        min_positives: clusters with a click, and as many with a non-click, below which nothing is said.
    """
    for what, count in (("click", sums.clicked), ("non-click", sums.unclicked)):
        if count < min_positives:
            return Verdict("undecided", f"{count} users or rows with a {what}, a verdict needs {min_positives}")
    if math.isnan(gain.low):
        return Verdict("undecided", gain.reason)
    if -negligible < gain.low and gain.high < negligible:
        return Verdict("unchanged")
    if gain.low > 0:
        return Verdict("helped")
    return Verdict("hurt" if gain.high < 0 else "undecided")


def discoveries(chances: Sequence[float], rate: float = 0.05) -> list[bool]:
    """Which of many p-values stand when the expected share of wrong ones among those that stand is held at `rate`.

    Source: Controlling the False Discovery Rate, Benjamini and Hochberg, 1995; for verticals that share users it holds
    under positive dependence. A NaN never stands, and does not count as a trial.

    >>> discoveries([0.001, 0.03, 0.04, 0.9, math.nan])
    [True, False, False, False, False]
    """
    values = np.asarray(chances, dtype=np.float64)
    tried = np.sort(values[~np.isnan(values)])
    passing = tried[tried <= rate * np.arange(1, len(tried) + 1) / max(len(tried), 1)]
    return [bool(value <= passing[-1]) if len(passing) else False for value in values]


def rows_wanted(
    gain: Estimate, sums: Sums, rows: int, *, negligible: float, min_positives: int, level: float = 0.95
) -> int | None:
    """How many more rows like these a verdict needs, about; None where that cannot be told.

    Enough clicks for any verdict, and then an interval narrow enough to find, four times in five, a gain as large as
    the one seen, or as large as matters where the one seen is smaller. Widths shrink with the root of the rows.

    Args:
        gain: as seen.
        sums: where it comes from.
        rows: test rows so far.
        negligible: gains below it do not matter.
        min_positives: clusters with a click, and as many with a non-click, that any verdict needs.
        level: coverage of the interval.
    """
    fewest = min(sums.clicked, sums.unclicked)
    smallest = detectable(sums, level)
    target = max(abs(gain.value), negligible)
    if fewest == 0 or not math.isfinite(smallest) or not target > 0:
        return None
    factor = max(min_positives / fewest, (smallest / target) ** 2)
    return math.ceil(rows * max(factor - 1, 0.0))
