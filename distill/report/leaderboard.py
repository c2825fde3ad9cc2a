"""The leaderboard: what every student scored, and what that says of its teacher, as one JSON object.

A row is a student and a task. A number that does not exist is None, and the row's `undefined` says why for each; its
`reason` says it once, for a reader. Nothing is dropped: a student that failed has its row, and so has one whose
vertical has no clicks.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from distill import metrics
from distill.evidence import (
    NOTHING,
    Estimate,
    Sums,
    detectable,
    discoveries,
    gap_closed,
    ne_gain,
    p_value,
    rows_wanted,
    verdict,
)
from distill.recipe.outcome import Evidence
from distill.report.exam import Exam, exams, sums
from distill.report.method import domains, method, pooled
from distill.report.reliability import by_vertical, together
from distill.report.results import Entry, Results
from distill.report.scores import entropy, number, scores, undefined
from distill.report.sentences import rounded
from distill.report.slices import slices
from distill.report.summary import Pair, lacks, pairs_of, summary

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
    held = list(exams(results))
    for task, one in held:
        found = sums(one, settings.resamples, seed)
        rows |= {(name, task): _row(entry, task, one, found, settings) for name, entry in one.entries.items()}
        pairs += pairs_of(task, one, found)
    ordered = [rows[entry.member, task] for entry in results.entries for task in results.tasks]
    _adjust(ordered, 1 - settings.level)
    return {
        "recipe": results.recipe,
        "fingerprint": results.fingerprint,
        "seconds": dict(results.seconds),
        "students": ordered,
        "summary": summary(ordered, pairs, settings.level, settings.min_positives),
        "undefined": lacks(pairs, settings.level),
        "method": method(pairs, settings.level),
        "domains": domains(pairs, settings.level),
        "slices": slices(held, results.slices, settings, seed),
        "reliability": together([one for _, one in held]),
        "calibration_by_vertical": by_vertical([one for _, one in held]),
        "pooled": pooled(pairs),
    }


def _adjust(rows: list[Row], rate: float) -> None:
    """Says beside each verdict whether it stands among all of them."""
    stands = discoveries([math.nan if row["p_value"] is None else row["p_value"] for row in rows], rate)
    for row, standing in zip(rows, stands, strict=True):
        sure = row["verdict"] not in ("helped", "hurt") or standing
        row["verdict_adjusted"] = row["verdict"] if sure else "undecided"


def _row(entry: Entry, task: str, exam: Exam, found: dict[str, Sums], settings: Evidence) -> Row:
    finding = _finding(entry, exam, found.get(entry.member), settings)
    row = {
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
        "entropy_test": number(metrics.base_entropy(exam.label, exam.weight)),
        "coverage": entry.coverage,
        "knowledge_age": entry.knowledge_age,
        "gradient_cosine": entry.gradient_cosine,
        **scores(exam.logit.get(entry.member), exam),
        "ne_control": entropy(exam.logit.get(entry.control or ""), exam),
        "ne_teacher": entropy(exam.teacher, exam),
        **finding.columns,
        "verdict": finding.word,
        "verdict_adjusted": finding.word,
        "status": "failed" if entry.logit is None else "ok",
        "reason": "; ".join(filter(None, finding.reasons)),
        "run_id": entry.run_id,
        "curve": [number(value) for value in entry.curve],
    }
    row["undefined"] = {} if entry.logit is None else undefined(row, exam, _why(entry, finding))
    return row


class _Finding(NamedTuple):
    """What the evidence says of one student, and why it says no more."""

    gain: Estimate
    gap: Estimate
    word: str | None
    reasons: list[str]
    chance: float = math.nan
    smallest: float = math.nan
    wanted: int | None = None

    @property
    def columns(self) -> Row:
        """Its numbers, under their names."""
        return {
            "ne_gain": number(self.gain.value),
            "ne_gain_low": number(self.gain.low),
            "ne_gain_high": number(self.gain.high),
            "gap_closed": number(self.gap.value),
            "gap_closed_low": number(self.gap.low),
            "gap_closed_high": number(self.gap.high),
            "p_value": number(self.chance),
            "detectable": number(self.smallest),
            "rows_wanted": self.wanted,
        }


def _finding(entry: Entry, exam: Exam, found: Sums | None, settings: Evidence) -> _Finding:
    if entry.logit is None:
        return _Finding(NOTHING, NOTHING, None, [entry.reason])
    reasons = [exam.lacks or exam.uncovered, *_silent(entry, exam)]
    if found is None:
        return _Finding(NOTHING, NOTHING, "undecided" if entry.arm == "distilled" else None, reasons)
    gain, gap = ne_gain(found, settings.level), gap_closed(found, settings.level)
    said = verdict(gain, found, negligible=settings.negligible, min_positives=settings.min_positives)
    wanted = _wanted(gain, found, exam, settings) if said.word == "undecided" else None
    if not exam.lacks:
        reasons += [said.reason, "" if exam.uncovered else gap.reason]
    reasons += [f"needs about {rounded(wanted):,} more test rows"] if wanted else []
    judged = found.clicked >= settings.min_positives and found.unclicked >= settings.min_positives
    chance = p_value(found) if judged else math.nan
    return _Finding(gain, gap, said.word, reasons, chance, detectable(found, settings.level), wanted)


def _wanted(gain: Estimate, found: Sums, exam: Exam, settings: Evidence) -> int | None:
    asked = {"negligible": settings.negligible, "min_positives": settings.min_positives, "level": settings.level}
    return rows_wanted(gain, found, len(exam.label), **asked)


def _why(entry: Entry, finding: _Finding) -> dict[str, str]:
    """Reasons for the numbers that only a student beside its control has."""
    if entry.arm == "control":
        return {}
    plain = "; ".join(filter(None, finding.reasons))
    gain, gap = finding.gain.reason or plain, finding.gap.reason or plain
    names = ("ne_control", "ne_gain", "ne_gain_low", "ne_gain_high", "p_value", "detectable")
    return dict.fromkeys(names, gain) | dict.fromkeys(("gap_closed", "gap_closed_low", "gap_closed_high"), gap)


def _silent(entry: Entry, exam: Exam) -> list[str]:
    """Why a student cannot be compared, as far as its own scores and those of its control go."""
    reasons = [] if entry.member in exam.logit else ["its log-odds are not all finite"]
    if entry.arm == "control" or entry.control in exam.logit:
        return reasons
    control = exam.entries.get(entry.control or "")
    if control is None:
        return [*reasons, "it has no control"]
    return [*reasons, f"its control failed: {control.reason or 'its log-odds are not all finite'}"]


def _positives(label: Float[np.ndarray, " rows"]) -> int | float:
    """Clicks as a whole number; expected clicks where labels are probabilities."""
    total = math.fsum(label)
    return int(total) if total.is_integer() else total
