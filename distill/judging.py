"""Judging: what every student says of its test rows, beside what happened and what the teacher had said."""

from collections.abc import Sequence

import numpy as np
import torch

from distill.data.impressions import TEST, Impressions
from distill.fingerprint import derived_seed
from distill.knowledge import Knowledge
from distill.recipe import Recipe
from distill.report import Entry, Outcomes, Results, leaderboard, with_hops
from distill.training import Student


def judge(
    recipe: Recipe,
    key: str,
    impressions: Impressions,
    knowledge: Knowledge,
    students: Sequence[Student],
    domain: Knowledge | None = None,
) -> dict:
    """The leaderboard.

    Args:
        recipe: what was run.
        key: the leaderboard's fingerprint.
        impressions: the rows.
        knowledge: of the teacher.
        students: both arms.
        domain: of the domain models, where there are any.
    """
    verticals = dict.fromkeys(student.member.vertical for student in students)
    results = Results(
        recipe=recipe.name,
        fingerprint=key,
        seconds={},
        tasks=impressions.tasks,
        outcomes={vertical: _outcomes(impressions, knowledge, vertical) for vertical in verticals},
        entries=[_entry(recipe, knowledge, domain, student) for student in students],
    )
    seed = derived_seed(recipe.seed, "evidence")
    table = leaderboard(results, recipe.evidence, seed)
    if domain is None:
        return table
    heard = {vertical: _outcomes(impressions, domain, vertical) for vertical in verticals}
    return with_hops(table, results, heard, recipe.evidence, seed)


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


def _entry(recipe: Recipe, knowledge: Knowledge, domain: Knowledge | None, student: Student) -> Entry:
    member = student.member
    distilled = member.arm == "distilled"
    return Entry(
        member=member.name,
        vertical=member.vertical,
        domain=domain.facts["domains"][member.vertical] if domain else member.domain,
        arm=member.arm,
        control=member._replace(arm="control").name if distilled else None,
        seed=member.seed,
        settings=member.settings | {"passes": student.taken} | ({"fell_back": 1.0} if student.fell_back else {}),
        architecture=recipe.students.model.path,
        teacher=knowledge.manifest.teacher,
        knowledge_kind=knowledge.manifest.kind,
        rows_train=member.rows,
        logit=student.logit,
        reason=student.reason,
    )
