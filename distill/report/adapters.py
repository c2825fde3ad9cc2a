"""Adapters: how good a teacher's marks are as each student's adapter refines them, and as two numbers would."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from distill import metrics
from distill.report.results import Entry, Outcomes, Results
from distill.report.scores import number

Row = dict[str, Any]

SAID = {"ne_platt": "platt", "ne_adapter": "adapter"}
"""Column -> whose log-odds."""


def with_adapters(table: Row, results: Results) -> Row:
    """A leaderboard with NE of the teacher's marks by two numbers (`ne_platt`) and by adapters (`ne_adapter`).

    The two numbers are fitted to all training rows of the vertical at once: the least that an adapter should reach. The
    table is unchanged where nobody has an adapter; a number is None where the teacher has not scored every row, and for
    controls.

    Args:
        table: the leaderboard.
        results: what it was made from.
    """
    entries = {entry.member: entry for entry in results.entries}
    if not any(entry.refined for entry in entries.values()):
        return table
    rows = []
    for row in table["students"]:
        entry, task = entries[row["member"]], results.tasks.index(row["task"])
        outcomes = results.outcomes[row["vertical"]]
        rows.append(row | {name: _pooled([_tally(entry, outcomes, said, task)]) for name, said in SAID.items()})
    taught = [entry for entry in entries.values() if entry.arm == "distilled"]
    whole = {
        name: _pooled(
            [
                _tally(entry, results.outcomes[entry.vertical], said, task)
                for entry in taught
                for task in range(len(results.tasks))
            ]
        )
        for name, said in SAID.items()
    }
    return table | {"students": rows, "summary": table["summary"] | whole}


def described(summary: Row) -> list[str]:
    """What a summary says of adapters, where there are any."""
    if summary.get("ne_adapter") is None or summary["ne_platt"] is None:
        return []
    plain = "" if summary["ne_teacher"] is None else f"{summary['ne_teacher']:.4f} as they are, "
    return [
        f"NE of the marks is {plain}{summary['ne_platt']:.4f} with a slope and a shift for each vertical (Platt), and "
        f"{summary['ne_adapter']:.4f} by the students' adapters."
    ]


def _tally(entry: Entry, outcomes: Outcomes, said: str, task: int) -> metrics.Tally | None:
    """What the test rows of an entry add up to; None where some have no mark."""
    if said not in entry.refined:
        return None
    there = outcomes.valid[:, task] & (outcomes.weight > 0)
    logit = entry.refined[said][there, task]
    whole = len(logit) and np.isfinite(logit).all()
    return metrics.tally(logit, outcomes.label[there, task], outcomes.weight[there]) if whole else None


def _pooled(tallies: Sequence[metrics.Tally | None]) -> float | None:
    """NE over all of them; None where one is missing."""
    known = [one for one in tallies if one is not None]
    return number(metrics.pool(known).normalized_entropy) if known and len(known) == len(tallies) else None
