"""The table of a sweep: what each point gave, which is best for whom, and who failed, as one JSON object."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from distill.report.scores import number
from distill.sweep.choosing import Choice, pooled
from distill.sweep.points import Point
from distill.training import Student

Table = dict[str, Any]

SUMMED = (
    *("students", "failed", "helped", "hurt", "unchanged", "undecided"),
    *("ne_teacher", "ne_control", "ne_student", "ne_gain", "ne_gain_low", "ne_gain_high", "gap_closed"),
)
"""What the table says of a point, from the summary of its leaderboard."""

AGAIN = "distill sweep SWEEP --retry-failed trains them again."


class Outcome(NamedTuple):
    """A point that is done.

    Attributes:
        point: which one.
        students: both arms.
        table: its leaderboard.
    """

    point: Point
    students: list[Student]
    table: Table


def table(name: str, key: str, outcomes: Sequence[Outcome], choices: Sequence[Choice], best: Table) -> Table:
    """What `distill compare --json` writes of a sweep.

    Args:
        name: of the sweep.
        key: its fingerprint.
        outcomes: every point.
        choices: the best point of each vertical and arm.
        best: the leaderboard of the chosen students against the chosen controls.
    """
    return {
        "sweep": name,
        "fingerprint": key,
        "seconds": {},
        "points": [_point(outcome) for outcome in outcomes],
        "best": _best(outcomes, choices, best),
        "summary": best["summary"],
        "failures": failures(outcomes),
        "students": [{"point": one.point.name, **row} for one in outcomes for row in one.table["students"]],
    }


def failures(outcomes: Sequence[Outcome]) -> list[Table]:
    """Members that failed, by cause: the same cause at another step or pass is the same.

    Returns:
        For each cause how many, at which points, of which verticals, and what trains them again.
    """
    found: dict[str, dict[str, Table]] = {}
    for outcome in outcomes:
        for row in outcome.table["students"]:
            if row["status"] == "failed":
                cause = re.sub(r" (at|after) \w+ \d+", "", row["reason"])
                found.setdefault(cause, {})[outcome.point.name, row["member"]] = row
    return [
        {
            "cause": cause,
            "members": len(rows),
            "points": list(dict.fromkeys(point for point, _ in rows)),
            "verticals": sorted({row["vertical"] for row in rows.values()}),
            "remedy": AGAIN,
        }
        for cause, rows in found.items()
    ]


def _point(outcome: Outcome) -> Table:
    summary = outcome.table["summary"]
    return {
        "point": outcome.point.name,
        "changes": outcome.point.changes,
        "fingerprint": outcome.table["fingerprint"],
        "ne_valid": number(pooled(outcome.students, "distilled")),
        "ne_valid_control": number(pooled(outcome.students, "control")),
        **{name: summary.get(name) for name in SUMMED},
        "auc_control": _auc(outcome.table, "control"),
        "auc_student": _auc(outcome.table, "distilled"),
    }


def _auc(table: Table, arm: str) -> float | None:
    """AUC within verticals, each weighing as many test rows as it has: scores of two verticals are never compared."""
    rows = [row for row in table["students"] if row["arm"] == arm and row.get("auc") is not None]
    total = sum(row["rows_test"] for row in rows)
    return sum(row["auc"] * row["rows_test"] for row in rows) / total if total else None


def _best(outcomes: Sequence[Outcome], choices: Sequence[Choice], best: Table) -> list[Table]:
    """A line for each chosen student: the point it was chosen at, and how it does against the best control."""
    chosen = {(one.vertical, one.arm): one for one in choices}
    lines = []
    for row in best["students"]:
        own = chosen[row["vertical"], row["arm"]]
        if row["arm"] == "distilled":
            control = chosen[row["vertical"], "control"]
            line = {
                "vertical": row["vertical"],
                "task": row["task"],
                "seed": row["seed"],
                "point": outcomes[own.point].point.name,
                "point_control": outcomes[control.point].point.name,
                "ne_valid": number(own.ne_valid),
                "ne_valid_control": number(control.ne_valid),
            }
            facts = ("ne_teacher", "ne_control", "ne", "ne_gain", "ne_gain_low", "ne_gain_high", "verdict")
            lines.append(line | {name: row[name] for name in facts})
    return lines
