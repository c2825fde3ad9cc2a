"""The leaderboard: what every student scored, and what that says of its teacher, as one JSON object.

A row is a student and a task. A ratio that does not exist is None, and the row's `reason` says why. Nothing is
dropped: a student that failed has its row, and so has one whose vertical has no clicks.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from distill import metrics
from distill.evidence import NOTHING, Estimate, Sums, gap_closed, ne_gain, paired, verdict
from distill.recipe.sections import Evidence
from distill.report.results import Entry, Outcomes, Results
from distill.report.summary import Pair, number, summary

Row = dict[str, Any]


def leaderboard(results: Results, settings: Evidence, seed: int = 0) -> Row:
    """The object that `distill compare --json` writes; the same results always give the same object.

    Args:
        results: what the run has found out.
        settings: how sure a verdict must be.
        seed: of the bootstrap.
    """
    rows: dict[tuple[str, str], Row] = {}
    pairs: list[Pair] = []
    for vertical, outcomes in results.outcomes.items():
        entries = [entry for entry in results.entries if entry.vertical == vertical]
        for column, task in enumerate(results.tasks):
            exam = _exam(outcomes, column, entries)
            sums = _sums(exam, settings.resamples, seed)
            rows |= {(entry.member, task): _row(entry, task, exam, sums, settings) for entry in entries}
            pairs += [Pair(vertical, found) for found in sums.values()]
    ordered = [rows[entry.member, task] for entry in results.entries for task in results.tasks]
    return {
        "recipe": results.recipe,
        "fingerprint": results.fingerprint,
        "seconds": dict(results.seconds),
        "students": ordered,
        "summary": summary(ordered, pairs, settings.level),
    }


class _Exam(NamedTuple):
    """The test rows of one vertical that have a label for one task, and what everybody said of them.

    Attributes:
        label: 0 or 1.
        weight: above 0.
        cluster: code of the user.
        lacks: what the rows lack to have an NE; empty where nothing.
        teacher: the teacher's log-odds; None unless it scored every row.
        uncovered: why it is None.
        entries: the students of the vertical by name.
        logit: their log-odds, where all are finite.
    """

    label: Float[np.ndarray, " rows"]
    weight: Float[np.ndarray, " rows"]
    cluster: Int[np.ndarray, " rows"]
    lacks: str
    teacher: Float[np.ndarray, " rows"] | None
    uncovered: str
    entries: dict[str, Entry]
    logit: dict[str, Float[np.ndarray, " rows"]]


def _exam(outcomes: Outcomes, column: int, entries: Sequence[Entry]) -> _Exam:
    rows = np.flatnonzero(outcomes.valid[:, column] & (outcomes.weight > 0))
    label, weight = outcomes.label[rows, column].astype(np.float64), outcomes.weight[rows].astype(np.float64)
    why = metrics.why_undefined(label, weight)
    teacher, uncovered = _teacher(outcomes, rows, column)
    logit = {one.member: one.logit[rows, column].astype(np.float64) for one in entries if one.logit is not None}
    return _Exam(
        label=label,
        weight=weight,
        cluster=outcomes.cluster[rows],
        lacks="no test rows" if not len(rows) else f"{why} (test rows: {len(rows)})" if why else "",
        teacher=teacher,
        uncovered=uncovered,
        entries={one.member: one for one in entries},
        logit={member: one for member, one in logit.items() if np.isfinite(one).all()},
    )


def _teacher(
    outcomes: Outcomes, rows: Int[np.ndarray, " kept"], column: int
) -> tuple[Float[np.ndarray, " kept"] | None, str]:
    """The teacher's log-odds, if it scored every row; else why it has no NE on them."""
    if outcomes.teacher is None:
        return None, "the teacher scored none of the test rows"
    logit = outcomes.teacher[rows, column].astype(np.float64)
    scored = outcomes.covered[rows] & np.isfinite(logit)
    return (logit, "") if scored.all() else (None, f"the teacher scored {scored.sum()} of {len(rows)} test rows")


def _sums(exam: _Exam, resamples: int, seed: int) -> dict[str, Sums]:
    """What every student and its control sum up to, where both have scores."""
    twins = {
        member: entry.control
        for member, entry in exam.entries.items()
        if member in exam.logit and entry.control in exam.logit
    }
    if not twins or not len(exam.label):
        return {}
    control, student = (np.stack([exam.logit[name] for name in names]) for names in (twins.values(), twins))
    rows = exam.cluster, exam.label, exam.weight
    return dict(zip(twins, paired(*rows, control, student, exam.teacher, resamples=resamples, seed=seed), strict=True))


def _row(entry: Entry, task: str, exam: _Exam, sums: dict[str, Sums], settings: Evidence) -> Row:
    finding = _finding(entry, exam, sums.get(entry.member), settings)
    return {
        "member": entry.member,
        "vertical": entry.vertical,
        "domain": entry.domain,
        "task": task,
        "arm": entry.arm,
        "seed": entry.seed,
        "settings": dict(entry.settings),
        "architecture": entry.architecture,
        "teacher": entry.teacher,
        "knowledge_kind": entry.knowledge_kind,
        "rows_train": entry.rows_train,
        "rows_test": len(exam.label),
        "positives_test": _positives(exam.label),
        **_metrics(exam.logit.get(entry.member), exam),
        "ne_control": _entropy(exam.logit.get(entry.control or ""), exam),
        "ne_teacher": _entropy(exam.teacher, exam),
        "ne_gain": number(finding.gain.value),
        "ne_gain_low": number(finding.gain.low),
        "ne_gain_high": number(finding.gain.high),
        "gap_closed": number(finding.gap.value),
        "verdict": finding.word,
        "status": "failed" if entry.logit is None else "ok",
        "reason": "; ".join(filter(None, finding.reasons)),
        "run_id": entry.run_id,
    }


class _Finding(NamedTuple):
    """What the evidence says of one student, and why it says no more."""

    gain: Estimate
    gap: Estimate
    word: str | None
    reasons: list[str]


def _finding(entry: Entry, exam: _Exam, sums: Sums | None, settings: Evidence) -> _Finding:
    if entry.logit is None:
        return _Finding(NOTHING, NOTHING, None, [entry.reason])
    reasons = [exam.lacks or exam.uncovered, *_silent(entry, exam)]
    if sums is None:
        return _Finding(NOTHING, NOTHING, "undecided" if entry.arm == "distilled" else None, reasons)
    gain, gap = ne_gain(sums, settings.level), gap_closed(sums, settings.level)
    found = verdict(gain, sums, negligible=settings.negligible, min_positives=settings.min_positives)
    if not exam.lacks:
        reasons += [found.reason, "" if exam.uncovered else gap.reason]
    return _Finding(gain, gap, found.word, reasons)


def _silent(entry: Entry, exam: _Exam) -> list[str]:
    """Why a student cannot be compared, as far as its own scores and those of its control go."""
    reasons = [] if entry.member in exam.logit else ["its log-odds are not all finite"]
    if entry.arm == "control" or entry.control in exam.logit:
        return reasons
    control = exam.entries.get(entry.control or "")
    if control is None:
        return [*reasons, "it has no control"]
    return [*reasons, f"its control failed: {control.reason or 'its log-odds are not all finite'}"]


def _metrics(logit: Float[np.ndarray, " rows"] | None, exam: _Exam) -> Row:
    if logit is None:
        return dict.fromkeys(("ne", "auc", "logloss", "calibration", "calibration_se"))
    rows = logit, exam.label, exam.weight
    calibration = metrics.calibration(*rows)
    return {
        "ne": number(metrics.normalized_entropy(*rows)),
        "auc": number(metrics.auc(*rows)),
        "logloss": number(metrics.log_loss(*rows)),
        "calibration": number(calibration.ratio),
        "calibration_se": number(calibration.standard_error),
    }


def _entropy(logit: Float[np.ndarray, " rows"] | None, exam: _Exam) -> float | None:
    return None if logit is None else number(metrics.normalized_entropy(logit, exam.label, exam.weight))


def _positives(label: Float[np.ndarray, " rows"]) -> int | float:
    """Clicks as a whole number; expected clicks where labels are probabilities."""
    total = math.fsum(label)
    return int(total) if total.is_integer() else total
