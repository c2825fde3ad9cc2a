"""Recording: what MLflow is told of a run, made from its leaderboard."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from distill.data.negatives import shares
from distill.fingerprint import fingerprint
from distill.knowledge import Knowledge
from distill.member import Member
from distill.panel import seats, together
from distill.recipe import Recipe, show
from distill.recipe.sections import OutsideTeacher
from distill.report import Facts, drawings, flat, markdown, page, student_note
from distill.tracking import RunRecord, environment
from distill.training import Student
from distill.types import Settings

SHOWN = (
    "ne_gain",
    "ne",
    "auc",
    "logloss",
    "calibration",
    "calibration_se",
    "ne_control",
    "ne_teacher",
    "ne_platt",
    "ne_adapter",
    "ne_domain",
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
"""Columns of the leaderboard that become metrics of a student's run; where MLflow compares runs it draws the first."""

COLOURS = {"helped": "#0f766e", "hurt": "#b4412c", "unchanged": "#4f5fa3", "undecided": "#8b8f94"}
"""In which a run stands in MLflow's table and charts: by verdict, as in the report. A control has that of its arm."""

CONTROL = "#c2812b"


def records(
    recipe: Recipe,
    table: Mapping[str, Any],
    students: Sequence[Student],
    data: str,
    sources: Sequence[RunRecord] = (),
) -> Iterator[RunRecord]:
    """The parent, who taught the students, then a child for each student and arm.

    Args:
        recipe: as it was run.
        table: its leaderboard.
        students: those of the leaderboard.
        data: fingerprint of the impressions.
        sources: records of the teacher and of the domain models, as `sources_of` makes them.
    """
    key = table["fingerprint"]
    yield _parent(recipe, table, key, data)
    yield from sources
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for row in table["students"]:
        rows.setdefault(row["member"], []).append(row)
    for student in students:
        yield child(recipe, key, student, rows[student.member.name], heard(recipe, sources))


def sources_of(recipe: Recipe, tables: Mapping[str, Knowledge], domain: Knowledge | None, data: str) -> list[RunRecord]:
    """The teachers, and the domain models that the first taught where there are any; recipes that share one share its
    run.

    Args:
        recipe: one that was run.
        tables: of its teachers, by name of the source.
        domain: of its domain models.
        data: fingerprint of the impressions.
    """
    sections = {seat.name: seat.teacher for seat in seats(recipe)}
    teachers = [_source("teacher", sections[name], table, {recipe.name: data}) for name, table in tables.items()]
    if domain is None:
        return teachers
    teacher = teachers[0]
    return [*teachers, replace(_source("domain", recipe.domains, domain, teacher.datasets), taught_by=(teacher.key,))]


def heard(recipe: Recipe, sources: Sequence[RunRecord]) -> list[str]:
    """Keys of the sources that the students of a recipe learned from."""
    roles = {"teacher": ("teacher",), "domain": ("domain",), "both": ("teacher", "domain")}[recipe.source]
    return [record.key for record in sources if record.tags["distill.role"] in roles]


def _source(role: str, section: Settings | None, knowledge: Knowledge, datasets: Mapping[str, str]) -> RunRecord:
    """One run of whoever scored the rows: how it was trained, how well it scored, and the model that others name."""
    manifest, facts = knowledge.manifest, knowledge.facts
    several = len(facts.get("audit", {})) > 1
    metrics = {
        f"{task}/ne/{split}" if several else f"ne/{split}": value
        for task, entropies in facts.get("audit", {}).items()
        for split, value in entropies.items()
    }
    return RunRecord(
        key=fingerprint("source", manifest.fingerprint),
        parent=None,
        name=f"{role}/{manifest.teacher}",
        tags={
            "distill.role": role,
            "distill.teacher": manifest.teacher,
            "distill.fingerprint": manifest.fingerprint,
            "distill.knowledge_kind": manifest.kind,
        },
        params=flat(section.model_dump(mode="json", by_alias=True)) if section else {},
        metrics=metrics | {"rows": manifest.rows, "covered": facts.get("covered")},
        datasets=datasets,
        model=f"{role}-{manifest.teacher.rpartition('.')[2]}",
        note=f"What the runs below its model learned from: {manifest.rows:,} rows, scored {manifest.kind}.",
    )


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
        metrics=table["summary"]
        | {f"ne_teacher/{one['name']}": one["ne"] for one in table.get("teachers", ())}
        | {f"time/{name}": spent for name, spent in table.get("time", {}).items()},
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
    return together(
        [
            str(one.teacher.knowledge) if isinstance(one.teacher, OutsideTeacher) else one.teacher.model.path
            for one in seats(recipe)
        ]
    )


def child(
    recipe: Recipe,
    parent: str,
    student: Student,
    rows: Sequence[Mapping[str, Any]],
    taught_by: Sequence[str] = (),
) -> RunRecord:
    """One run a student; with several tasks their names stand before those of the metrics.

    Whoever serves its weights adds the logarithm of `negatives` to its log-odds, as is done with all that is shown.

    Args:
        recipe: what it was trained by.
        parent: key of the recipe's or the sweep's record.
        student: which one.
        rows: those of the leaderboard that are about it, one a task.
        taught_by: keys of the sources that distilled students of the recipe learned from.
    """
    member, first, negatives = student.member, rows[0], shares(recipe.data.negatives)["students"]
    several = len(rows) > 1
    metrics = {f"{row['task']}/{name}" if several else name: value for row in rows for name, value in _shown(row)}
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
        "mlflow.runColor": COLOURS.get(first["verdict"] or "", CONTROL),
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
            "train/gradient_cosine": [(turn, one) for turn, one in enumerate(student.cosines, 1) if one is not None],
        },
        taught_by=taught_by if member.arm == "distilled" else (),
        note=student_note(rows),
        status="FAILED" if student.reason else "FINISHED",
    )


def _shown(row: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    """Metrics of a row. MLflow rounds to two or three digits where it compares runs, so the gain is there in per cent
    as well."""
    yield from ((name, row.get(name)) for name in SHOWN)
    yield "ne_gain_percent", None if row.get("ne_gain") is None else 100 * row["ne_gain"]
