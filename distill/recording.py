"""Recording: what MLflow is told of a run, made from its leaderboard."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from distill.data.negatives import shares
from distill.fingerprint import fingerprint
from distill.member import Member
from distill.recipe import Recipe, show
from distill.recipe.sections import OutsideTeacher
from distill.report import Facts, drawings, markdown, page
from distill.tracking import RunRecord, environment
from distill.training import Student

SHOWN = (
    "ne",
    "auc",
    "logloss",
    "calibration",
    "calibration_se",
    "ne_control",
    "ne_teacher",
    "ne_domain",
    "ne_gain",
    "ne_gain_low",
    "ne_gain_high",
    "gap_closed",
    "gap_closed_low",
    "gap_closed_high",
    "p_value",
    "detectable",
    "gauc",
    "pr_auc",
    "ne_free",
    "ece_debiased",
    "kl_teacher",
    "rank_teacher",
    "coverage",
    "knowledge_age",
    "rows_test",
    "positives_test",
)
"""Columns of the leaderboard that become metrics of a student's run."""


def records(recipe: Recipe, table: Mapping[str, Any], students: Sequence[Student], data: str) -> Iterator[RunRecord]:
    """The parent, then a child for each student and arm.

    Args:
        recipe: as it was run.
        table: its leaderboard.
        students: those of the leaderboard.
        data: fingerprint of the impressions.
    """
    key = table["fingerprint"]
    yield _parent(recipe, table, key, data)
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for row in table["students"]:
        rows.setdefault(row["member"], []).append(row)
    for student in students:
        yield child(recipe, key, student, rows[student.member.name])


def started(recipe: Recipe, key: str, data: str) -> RunRecord:
    """The parent as it stands when the run begins: the recipe, the environment, and the fingerprint of the data."""
    lines = "".join(f"{name}: {value}\n" for name, value in environment().items())
    return RunRecord(
        key=key,
        parent=None,
        name=recipe.name,
        tags={"distill.role": "recipe", "distill.fingerprint": key, "distill.transfer": recipe.transfer},
        params={"seed": recipe.seed, "teacher": _teacher(recipe), "students": recipe.students.model.path},
        artifacts={"recipe.yaml": show(recipe), "environment.txt": lines},
        datasets={recipe.name: data} if data else {},
        finished=False,
    )


def record_key(parent: str, member: Member) -> str:
    """Under which key a member of a run is recorded."""
    return fingerprint(parent, member.fingerprint, member.name)


def _parent(recipe: Recipe, table: Mapping[str, Any], key: str, data: str) -> RunRecord:
    """The parent as it stands when the run is done: with the leaderboard."""
    text = markdown(table)
    begun = started(recipe, key, data)
    return replace(
        begun,
        metrics=dict(table["summary"]) | {f"time/{name}": spent for name, spent in table.get("time", {}).items()},
        artifacts={
            **begun.artifacts,
            "leaderboard.md": text,
            "leaderboard.json": json.dumps(table, indent=1),
            "report.html": page(table, Facts(show(recipe), ["distill run recipe.yaml"], recipe.evidence.level)),
            **drawings(table),
        },
        note=text,
        finished=True,
    )


def _teacher(recipe: Recipe) -> str:
    teacher = recipe.teacher
    return str(teacher.knowledge) if isinstance(teacher, OutsideTeacher) else teacher.model.path


def child(recipe: Recipe, parent: str, student: Student, rows: Sequence[Mapping[str, Any]]) -> RunRecord:
    """One run a student; with several tasks their names stand before those of the metrics.

    Whoever serves its weights adds the logarithm of `negatives` to its log-odds, as is done with all that is shown.

    Args:
        recipe: what it was trained by.
        parent: key of the recipe's or the sweep's record.
        student: which one.
        rows: those of the leaderboard that are about it, one a task.
    """
    member, first, negatives = student.member, rows[0], shares(recipe.data.negatives)["students"]
    several = len(rows) > 1
    metrics = {f"{row['task']}/{name}" if several else name: row.get(name) for row in rows for name in SHOWN}
    tags = {
        "distill.role": "student",
        "distill.vertical": member.vertical,
        "distill.domain": first["domain"] or "",
        "distill.arm": member.arm,
        "distill.seed": str(member.seed),
        "distill.architecture": first["architecture"],
        "distill.transfer": recipe.transfer,
        "distill.fingerprint": member.fingerprint,
        "distill.teacher": first["teacher"] or "",
        "distill.knowledge_kind": first["knowledge_kind"] or "",
        "distill.verdict": first["verdict"] or "",
        "distill.verdict_adjusted": first["verdict_adjusted"] or "",
    }
    return RunRecord(
        key=record_key(parent, member),
        parent=parent,
        name=member.name,
        tags=tags,
        params={
            **member.settings,
            **({"fell_back": 1} if student.fell_back else {}),
            "passes": student.taken,
            "rows_train": member.rows,
            "negatives": negatives,
        },
        metrics=metrics,
        curves={
            "train/loss": list(enumerate(student.losses, 1)),
            "valid/ne": list(enumerate(student.validation, 1)),
        },
        status="FAILED" if student.reason else "FINISHED",
    )
