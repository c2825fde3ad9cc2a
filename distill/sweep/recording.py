"""What MLflow is told of a sweep: one parent, and a child for each student, however many points have it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from distill.recording import child, heard, started
from distill.report import sweep_page
from distill.sweep.points import Sweep
from distill.sweep.table import Table
from distill.tracking import RunRecord
from distill.training import Student

LINES = 40
"""Points that the note lists."""

HEAD = ("point", "ne_valid", "ne_control", "ne_student", "ne_gain", "ne_gain_low", "ne_gain_high", "helped", "hurt")


def begun(sweep: Sweep, key: str, data: str) -> RunRecord:
    """The parent as it stands when the sweep begins.

    Args:
        sweep: which one.
        key: its own.
        data: fingerprint of the first point's.
    """
    record = started(sweep.base, key, data)
    points = json.dumps([{"point": point.name, "changes": point.changes} for point in sweep.points], indent=1)
    return replace(
        record,
        name=sweep.name,
        tags=record.tags | {"distill.role": "sweep"},
        artifacts=record.artifacts | {"points.json": points},
    )


def records(
    sweep: Sweep, found: Table, students: list[list[Student]], sources: list[list[RunRecord]]
) -> Iterator[tuple[RunRecord, list[tuple[str, str]]]]:
    """Each record, and the points and names of the students that it is about; the parent first, then who taught them.

    Args:
        sweep: which one, as far as its points came to the end.
        found: its table.
        students: of each point.
        sources: records of who taught those of each point.
    """
    key = found["fingerprint"]
    yield _parent(sweep, found, key), []
    yield from ((record, []) for record in {one.key: one for own in sources for one in own}.values())
    rows: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in found["students"]:
        rows.setdefault((row["point"], row["member"]), []).append(row)
    where: dict[str, list[tuple[str, str]]] = {}
    whom: dict[str, Student] = {}
    taught_by: dict[str, list[str]] = {}
    for point, own, taught in zip(sweep.points, students, sources, strict=True):
        for student in own:
            where.setdefault(student.member.fingerprint, []).append((point.name, student.member.name))
            whom.setdefault(student.member.fingerprint, student)
            taught_by.setdefault(student.member.fingerprint, heard(point.recipe, taught))
    for one, student in whom.items():
        names = [name for name, _ in where[one]]
        yield _child(sweep, key, student, rows[where[one][0]], names, taught_by[one]), where[one]


def _parent(sweep: Sweep, found: Table, key: str) -> RunRecord:
    record, text = begun(sweep, key, found["data"]), markdown(found)
    artifacts = {"sweep.md": text, "sweep.json": json.dumps(found, indent=1), "report.html": sweep_page(found)}
    return replace(
        record, metrics=dict(found["summary"]), artifacts=record.artifacts | artifacts, note=text, finished=True
    )


def _child(
    sweep: Sweep,
    key: str,
    student: Student,
    rows: list[Mapping[str, Any]],
    points: list[str],
    taught_by: list[str],
) -> RunRecord:
    """With what its points have in common of all that the sweep changes, and the name of its point if it has one."""
    own = [point for point in sweep.points if point.name in points]
    record = child(own[0].recipe, key, student, rows, taught_by)
    changes = [point.changes for point in own]
    same = {name: value for name, value in changes[0].items() if all(one.get(name) == value for one in changes)}
    params = {
        name: value if isinstance(value, str | int | float) else json.dumps(value) for name, value in same.items()
    }
    tags = {"distill.sweep": sweep.name, "distill.point": " | ".join(points)}
    name = " ".join([record.name, *(points if len(points) == 1 else [])])
    return replace(record, name=name, tags=record.tags | tags, params=record.params | params)


def markdown(found: Table) -> str:
    """The points as a table, in the order of the sweep."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
    for point in found["points"][:LINES]:
        lines.append("| " + " | ".join(_cell(point[name]) for name in HEAD) + " |")
    more = len(found["points"]) - LINES
    return "\n".join([f"## {found['sweep']}", "", *lines, *([f"\n{more} more points."] if more > 0 else [])]) + "\n"


def _cell(value: Any) -> str:
    text = "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|")
