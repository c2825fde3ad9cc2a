"""Judging: what every student says of its test rows, beside what happened and what the teacher had said."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from distill.data.impressions import TEST, TRAIN, Impressions
from distill.data.slicing import Slicing, seconds_a_unit, slicing
from distill.domains import domains_of
from distill.files import read_json, write_json
from distill.fingerprint import derived_seed, fingerprint
from distill.knowledge import Knowledge
from distill.panel import Panel, fingerprints, panel_of, said_by_all
from distill.recipe import Recipe
from distill.report import Entry, Outcomes, Results, entropy_of, leaderboard, mean_spread, with_adapters, with_hops
from distill.store import Store
from distill.training import Student

DAY = 86_400.0
DAYS = 30
"""Days among the test rows from which days are the clusters: fewer make no verdict, and one makes no interval."""


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
    others = fingerprints(recipe, impressions)
    heard = knowledge.manifest.fingerprint
    name = f"{key}-{fingerprint(heard, others) if others else heard}"
    path = store.tables / f"{name}-{fingerprint(failed)}.json" if failed else store.tables / f"{name}.json"
    if not path.exists():
        domain = domains_of(recipe, impressions, knowledge, store.knowledge) if recipe.domains else None
        said = panel_of(said_by_all(recipe, impressions, store.knowledge, first=knowledge), recipe, impressions)
        write_json(path, judge(recipe, key, impressions, said, students, domain))
    return read_json(path)


def judge(
    recipe: Recipe,
    key: str,
    impressions: Impressions,
    knowledge: Knowledge | Panel,
    students: Sequence[Student],
    domain: Knowledge | None = None,
) -> dict:
    """The leaderboard.

    Args:
        recipe: what was run.
        key: the leaderboard's fingerprint.
        impressions: the rows.
        knowledge: of the teacher, or of several together.
        students: both arms.
        domain: of the domain models, where there are any.
    """
    verticals = dict.fromkeys(student.member.vertical for student in students)
    slicings = {name: slicing(impressions, name) for name in recipe.evidence.slices}
    clusters = clusters_of(impressions)
    results = Results(
        recipe=recipe.name,
        fingerprint=key,
        seconds={},
        tasks=impressions.tasks,
        outcomes={vertical: _outcomes(impressions, knowledge, vertical, clusters, slicings) for vertical in verticals},
        entries=[_entry(recipe, impressions, knowledge, domain, student) for student in students],
        slices={name: one.names for name, one in slicings.items()},
    )
    seed = derived_seed(recipe.seed, "evidence")
    table = with_adapters(leaderboard(results, recipe.evidence, seed), results)
    if isinstance(knowledge, Panel):
        table |= _teachers(impressions, knowledge, results.outcomes)
    if domain is None:
        return table
    heard = {one: _outcomes(impressions, domain, one, clusters, slicings) for one in verticals}
    return with_hops(table, results, heard, recipe.evidence, seed)


def _teachers(impressions: Impressions, panel: Panel, outcomes: Mapping[str, Outcomes]) -> dict:
    """What each of several teachers is worth on the test rows, and all of them together."""
    rows = {vertical: torch.from_numpy(impressions.select(TEST, vertical)) for vertical in outcomes}
    each = []
    for name, table in panel.tables.items():
        said = {vertical: table.take(own, representation=False) for vertical, own in rows.items()}
        own = {
            vertical: outcomes[vertical]._replace(teacher=one.prediction.logit.numpy(), covered=one.covered.numpy())
            for vertical, one in said.items()
        }
        facts = {"name": name, "class": table.manifest.teacher, "kind": table.manifest.kind}
        each.append(facts | {"weight": panel.weights[name], "ne": entropy_of(own)})
    spread = mean_spread({vertical: panel.spread(own).numpy() for vertical, own in rows.items()}, outcomes)
    return {"teachers": each, "together": {"ne": entropy_of(outcomes), "spread": spread}}


def clusters_of(impressions: Impressions) -> np.ndarray:
    """What would be different another time, for each row: its user; else its day, where the test rows span days enough
    for a verdict; else the row itself."""
    if impressions.user is not None:
        return np.asarray(impressions.user)
    unit = seconds_a_unit(impressions)
    if unit is not None:
        days = np.floor(impressions.time * (unit / DAY)).astype(np.int64)
        if len(np.unique(days[impressions.select(TEST)])) >= DAYS:
            return days
    return np.arange(impressions.rows)


def _outcomes(
    impressions: Impressions,
    knowledge: Knowledge | Panel,
    vertical: str,
    clusters: np.ndarray,
    slicings: Mapping[str, Slicing],
) -> Outcomes:
    rows = impressions.select(TEST, vertical)
    prediction, covered = knowledge.take(torch.from_numpy(rows), representation=False)
    return Outcomes(
        label=impressions.label[rows],
        valid=impressions.valid[rows],
        weight=impressions.worth(rows),
        cluster=clusters[rows],
        teacher=prediction.logit.numpy(),
        covered=covered.numpy(),
        slices={name: one.code[rows] for name, one in slicings.items()},
    )


def _coverage(impressions: Impressions, knowledge: Knowledge | Panel, vertical: str) -> float | None:
    """Share of the training rows that the teacher scored."""
    rows = impressions.select(TRAIN, vertical)
    _, covered = knowledge.take(torch.from_numpy(rows), representation=False)
    return float(covered.float().mean()) if len(rows) else None


def _age(impressions: Impressions, knowledge: Knowledge | Panel) -> float | None:
    """Days from the last label that the teacher had seen to the first test row."""
    unit, test = seconds_a_unit(impressions), impressions.select(TEST)
    if unit is None or knowledge.manifest.cut_off is None or not len(test):
        return None
    return float(impressions.time[test].min() - knowledge.manifest.cut_off) * unit / DAY


def _entry(
    recipe: Recipe, impressions: Impressions, knowledge: Knowledge | Panel, domain: Knowledge | None, student: Student
) -> Entry:
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
        coverage=_coverage(impressions, knowledge, member.vertical) if distilled else None,
        knowledge_age=_age(impressions, knowledge) if distilled else None,
        curve=student.validation,
        gradient_cosine=next((one for one in reversed(student.cosines) if one is not None), None),
        refined=student.refined,
    )
