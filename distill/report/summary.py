"""The summary of a leaderboard: all pairs added up, so that rows count and not verticals."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any, Literal, NamedTuple

from distill.evidence import NOTHING, Estimate, Sums, gap_closed, level_out, ne_gain, pool
from distill.report.exam import Exam
from distill.report.scores import number

TOP = 10
"""How many verticals `gap_closed_without_top10` leaves out."""


ALONE = "no student can be compared with its control"


class Pair(NamedTuple):
    """A student and its control on one task."""

    vertical: str
    sums: Sums
    domain: str | None = None
    seed: int = 0
    task: str = ""


def pairs_of(task: str, exam: Exam, found: Mapping[str, Sums]) -> list[Pair]:
    """Who has a control in one exam, with what they sum up to."""
    entries = [(exam.entries[name], one) for name, one in found.items()]
    return [Pair(entry.vertical, one, entry.domain, entry.seed, task) for entry, one in entries]


def closed(pairs: Sequence[Pair], level: float, leader: str = "teacher") -> Estimate:
    """The share of the gap that is closed over all pairs whose rows the teacher, or who leads in its place, scored."""
    scored = _scored(pairs)
    if scored:
        return gap_closed(_pooled(scored), level, leader)
    why = f"the {leader} did not score all test rows of any student" if pairs else ALONE
    return NOTHING._replace(reason=why)


def reasons(name: str, share: Estimate) -> dict[str, str]:
    """What of a share and of its interval does not exist, under their names in a leaderboard, and why."""
    numbers = {name: share.value, f"{name}_low": share.low, f"{name}_high": share.high}
    return {key: share.reason for key, value in numbers.items() if math.isnan(value)}


def student_entropy(pairs: Sequence[Pair]) -> float | None:
    """NE of the students over all pairs."""
    return _entropy(pairs, "student")


def summary(rows: Sequence[Mapping[str, Any]], pairs: Sequence[Pair], level: float, least: int) -> dict[str, Any]:
    """All pairs as one, and how many of each verdict.

    NE and gain are over all pairs; the gap over those whose test rows the teacher scored. Where these are not the
    same, the teacher's NE beside those of all pairs would mislead, and is None. `students` are the distilled ones,
    `failed` the members of either arm; verdicts are counted by student and task.

    Args:
        rows: of the leaderboard.
        pairs: what they come from.
        level: coverage of the interval.
        least: clicks, and as many non-clicks, from which a vertical counts in the mean of verticals.
    """
    words = Counter(row["verdict"] for row in rows)
    scored = _scored(pairs)
    gap, macro = closed(pairs, level), _macro_gap(scored, level, least)
    gain = ne_gain(_pooled(pairs), level) if pairs else NOTHING
    others = _without_top(pairs)
    return {
        "students": len({row["member"] for row in rows if row["arm"] == "distilled"}),
        "failed": len({row["member"] for row in rows if row["status"] == "failed"}),
        **{word: words[word] for word in ("helped", "hurt", "unchanged", "undecided")},
        "helped_adjusted": sum(row["verdict_adjusted"] == "helped" for row in rows),
        "hurt_adjusted": sum(row["verdict_adjusted"] == "hurt" for row in rows),
        "ne_gain": number(gain.value),
        "ne_gain_low": number(gain.low),
        "ne_gain_high": number(gain.high),
        **_by_vertical(rows, "ne_gain"),
        "ne_gain_without_top10": number(ne_gain(_pooled(others), level).value) if others else None,
        "gap_closed": number(gap.value),
        "gap_closed_low": number(gap.low),
        "gap_closed_high": number(gap.high),
        "gap_closed_macro": number(macro.value),
        "gap_closed_macro_low": number(macro.low),
        "gap_closed_macro_high": number(macro.high),
        "gap_closed_median": _by_vertical(rows, "gap_closed")["gap_closed_median"],
        "gap_closed_without_top10": number(_pooled_gap(_without_top(scored), level).value),
        "ne_teacher": _entropy(scored, "teacher") if len(scored) == len(pairs) else None,
        "ne_control": _entropy(pairs, "control"),
        "ne_student": student_entropy(pairs),
    }


def lacks(pairs: Sequence[Pair], level: float) -> dict[str, str]:
    """What of gain and gap over all pairs does not exist, their intervals among it, and why."""
    if not pairs:
        return dict.fromkeys(("ne_gain", "gap_closed"), ALONE)
    return reasons("gap_closed", closed(pairs, level))


def _scored(pairs: Sequence[Pair]) -> list[Pair]:
    return [pair for pair in pairs if not math.isnan(pair.sums.teacher[0])]


def _pooled(pairs: Sequence[Pair]) -> Sums:
    return pool(pair.sums for pair in pairs)


def _pooled_gap(pairs: Sequence[Pair], level: float) -> Estimate:
    return gap_closed(_pooled(pairs), level) if pairs else NOTHING


def _macro_gap(pairs: Sequence[Pair], level: float, least: int) -> Estimate:
    """Of the plain mean of NE over verticals. A mean of the verticals' own shares would be ruled by those in which the
    teacher hardly leads."""
    own = [_pooled([pair for pair in pairs if pair.vertical == name]) for name in {pair.vertical for pair in pairs}]
    sure = [level_out(sums) for sums in own if min(sums.clicked, sums.unclicked) >= least]
    return gap_closed(pool(sure), level) if sure else NOTHING


def _entropy(pairs: Sequence[Pair], ranker: Literal["teacher", "control", "student"]) -> float | None:
    base = math.fsum(pair.sums.base_entropy[0] for pair in pairs)
    return math.fsum(getattr(pair.sums, ranker)[0] for pair in pairs) / base if base > 0 else None


def _by_vertical(rows: Sequence[Mapping[str, Any]], name: str) -> dict[str, float | None]:
    """Mean and median over the verticals that have the number; a vertical with several seeds counts once."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row[name] is not None:
            found.setdefault(row["vertical"], []).append(row[name])
    means = [fmean(values) for values in found.values()]
    return {f"{name}_macro": fmean(means) if means else None, f"{name}_median": median(means) if means else None}


def _without_top(pairs: Sequence[Pair]) -> list[Pair]:
    """All but the pairs of the verticals whose students have saved the most nats."""
    saved: Counter[str] = Counter()
    for pair in pairs:
        saved[pair.vertical] += pair.sums.control[0] - pair.sums.student[0]
    top = {vertical for vertical, _ in saved.most_common(TOP)}
    return [pair for pair in pairs if pair.vertical not in top]
