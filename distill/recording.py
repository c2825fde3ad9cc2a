"""Recording: what MLflow is told of a run, made from its leaderboard."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from distill.fingerprint import fingerprint
from distill.member import Member
from distill.recipe import Recipe, show
from distill.report import markdown
from distill.tracking import RunRecord, environment
from distill.training import Student

SHOWN = (
    "ne",
    "auc",
    "logloss",
    "calibration",
    "ne_control",
    "ne_teacher",
    "ne_gain",
    "ne_gain_low",
    "ne_gain_high",
    "gap_closed",
    "rows_test",
    "positives_test",
)
"""Columns of the leaderboard that become metrics of a student's run."""


def records(recipe: Recipe, table: Mapping[str, Any], students: Sequence[Student]) -> Iterator[RunRecord]:
    """The parent, then a child for each student and arm.

    Args:
        recipe: as it was run.
        table: its leaderboard.
        students: those of the leaderboard.
    """
    key = table["fingerprint"]
    yield _parent(recipe, table, key)
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for row in table["students"]:
        rows.setdefault(row["member"], []).append(row)
    for student in students:
        yield _child(key, student, rows[student.member.name])


def record_key(parent: str, member: Member) -> str:
    """Under which key a member of a run is recorded."""
    return fingerprint(parent, member.fingerprint, member.name)


def _parent(recipe: Recipe, table: Mapping[str, Any], key: str) -> RunRecord:
    artifacts = {"recipe.yaml": show(recipe), "leaderboard.md": markdown(table)}
    lines = "".join(f"{name}: {value}\n" for name, value in environment().items())
    return RunRecord(
        key=key,
        parent=None,
        name=recipe.name,
        tags={"distill.role": "recipe", "distill.fingerprint": key, "distill.transfer": "direct"},
        params={"seed": recipe.seed, "students": len(table["students"])},
        metrics=dict(table["summary"]),
        artifacts=artifacts | {"environment.txt": lines},
        note=markdown(table),
    )


def _child(parent: str, student: Student, rows: Sequence[Mapping[str, Any]]) -> RunRecord:
    """One run a student; with several tasks their names stand before those of the metrics."""
    member, first = student.member, rows[0]
    several = len(rows) > 1
    metrics = {f"{row['task']}/{name}" if several else name: row[name] for row in rows for name in SHOWN}
    tags = {
        "distill.role": "student",
        "distill.vertical": member.vertical,
        "distill.domain": member.domain or "",
        "distill.arm": member.arm,
        "distill.seed": str(member.seed),
        "distill.architecture": first["architecture"],
        "distill.transfer": "direct",
        "distill.fingerprint": member.fingerprint,
        "distill.teacher": first["teacher"] or "",
        "distill.knowledge_kind": first["knowledge_kind"] or "",
        "distill.verdict": first["verdict"] or "",
    }
    return RunRecord(
        key=record_key(parent, member),
        parent=parent,
        name=member.name,
        tags=tags,
        params={**member.settings, "passes": student.taken, "rows_train": member.rows},
        metrics=metrics,
        curves={
            "train/loss": list(enumerate(student.losses, 1)),
            "valid/ne": list(enumerate(student.validation, 1)),
        },
        status="FAILED" if student.reason else "FINISHED",
    )
