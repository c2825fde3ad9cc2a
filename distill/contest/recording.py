"""What MLflow is told of a contest: one parent, and a child for each teacher."""

import json
from collections.abc import Sequence

from distill.contest.contenders import Contender
from distill.contest.laws import drawn
from distill.contest.table import Table
from distill.fingerprint import fingerprint
from distill.recipe import show
from distill.recording import started
from distill.report.style import STYLE
from distill.report.svg import standalone
from distill.sweep import Sweep
from distill.tracking import RunRecord, Tracker
from distill.tracking.tracker import Untracked

HEAD = (
    *("teacher", "ne_valid", "ne", "ne_low", "ne_high", "auc", "ne_mean", "auc_mean"),
    *("ne_gain", "ne_gain_low", "ne_gain_high", "seconds", "dense"),
)
"""What the note shows of a teacher."""


def record(sweep: Sweep, found: Table, each: Sequence[Contender], tracker: Tracker | Untracked) -> None:
    """The parent with the table, then every teacher; recording it again changes what has changed."""
    data = each[0].impressions.fingerprint
    begun = started(sweep.base, found["fingerprint"], data)
    text = markdown(found)
    tracker.record(
        RunRecord(
            key=found["fingerprint"],
            parent=None,
            name=sweep.name,
            tags=dict(begun.tags) | {"distill.role": "contest", "distill.best": found["best"]["teacher"]},
            params={"seeds": found["seeds"], "best": found["best"]["teacher"]},
            artifacts=dict(begun.artifacts)
            | {"contest.md": text, "contest.json": json.dumps(found, indent=1)}
            | {name: standalone(drawing, STYLE) for name, drawing in drawn(found)},
            datasets=begun.datasets,
            note=text,
        )
    )
    recipes = {one.name: one.recipe for one in each[::-1]}
    for line in found["teachers"]:
        tracker.record(_child(found["fingerprint"], line, show(recipes[line["teacher"]])))


def _child(parent: str, line: Table, recipe: str) -> RunRecord:
    numbers = {name: value for name, value in line.items() if isinstance(value, int | float)}
    return RunRecord(
        key=fingerprint(parent, line["teacher"], line["task"]),
        parent=parent,
        name=line["teacher"],
        tags={"distill.role": "teacher", "distill.task": line["task"]},
        metrics=numbers,
        artifacts={"recipe.yaml": recipe},
    )


def markdown(found: Table) -> str:
    """The table as Markdown."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
    lines += ["| " + " | ".join(_cell(line[name]) for name in HEAD) + " |" for line in found["teachers"]]
    best = f"Best by validation rows: {found['best']['teacher']}."
    return "\n".join([f"## {found['contest']}", "", *lines, "", best]) + "\n"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 10 else f"{value:.0f}"
    return (f"{value:,}" if isinstance(value, int) else str(value)).replace("|", "\\|")
