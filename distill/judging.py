"""Judging: what every student says of its test rows, beside what happened and what the teacher had said."""

from collections.abc import Sequence

import numpy as np
import torch

from distill.data.impressions import TEST, Impressions
from distill.files import read_json, write_json
from distill.fingerprint import derived_seed, fingerprint
from distill.knowledge import Knowledge
from distill.recipe import Recipe
from distill.report import Entry, Outcomes, Results, leaderboard
from distill.store import Store
from distill.training import Student


def judged(
    recipe: Recipe,
    key: str,
    impressions: Impressions,
    knowledge: Knowledge,
    students: Sequence[Student],
    store: Store,
) -> dict:
    """The leaderboard, from the store if it is there; the arguments are those of `judge`."""
    failed = [student.member.name for student in students if student.reason]
    name = f"{key}-{knowledge.manifest.fingerprint}"
    path = store.tables / f"{name}-{fingerprint(failed)}.json" if failed else store.tables / f"{name}.json"
    if not path.exists():
        write_json(path, judge(recipe, key, impressions, knowledge, students))
    return read_json(path)


def judge(
    recipe: Recipe, key: str, impressions: Impressions, knowledge: Knowledge, students: Sequence[Student]
) -> dict:
    """The leaderboard.

    Args:
        recipe: what was run.
        key: the leaderboard's fingerprint.
        impressions: the rows.
        knowledge: of the teacher.
        students: both arms.
    """
    verticals = dict.fromkeys(student.member.vertical for student in students)
    results = Results(
        recipe=recipe.name,
        fingerprint=key,
        seconds={},
        tasks=impressions.tasks,
        outcomes={vertical: _outcomes(impressions, knowledge, vertical) for vertical in verticals},
        entries=[_entry(recipe, knowledge, student) for student in students],
    )
    return leaderboard(results, recipe.evidence, derived_seed(recipe.seed, "evidence"))


def _outcomes(impressions: Impressions, knowledge: Knowledge, vertical: str) -> Outcomes:
    rows = impressions.select(TEST, vertical)
    prediction, covered = knowledge.take(torch.from_numpy(rows), representation=False)
    return Outcomes(
        label=impressions.label[rows],
        valid=impressions.valid[rows],
        weight=impressions.worth(rows),
        cluster=rows if impressions.user is None else np.asarray(impressions.user[rows]),
        teacher=prediction.logit.numpy(),
        covered=covered.numpy(),
    )


def _entry(recipe: Recipe, knowledge: Knowledge, student: Student) -> Entry:
    member = student.member
    distilled = member.arm == "distilled"
    return Entry(
        member=member.name,
        vertical=member.vertical,
        domain=member.domain,
        arm=member.arm,
        control=member._replace(arm="control").name if distilled else None,
        seed=member.seed,
        settings=member.settings | {"passes": student.taken},
        architecture=recipe.students.model.path,
        teacher=knowledge.manifest.teacher,
        knowledge_kind=knowledge.manifest.kind,
        rows_train=member.rows,
        logit=student.logit,
        reason=student.reason,
    )
