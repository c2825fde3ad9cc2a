"""Members: which students there are, and which of them train together."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from distill.data.impressions import Impressions, View
from distill.fingerprint import derived_seed, fingerprint
from distill.inputs import named
from distill.layers.embedding import INITIAL_SPREAD
from distill.optimizer import Tables
from distill.recipe.sections import Students
from distill.sampling import pass_steps
from distill.traits import LOGIT_SETTINGS, RANK, Arm, lesson_of, numbers_of

SOURCE = "teacher"
"""Name of the teacher's knowledge in a batch."""
DOMAIN = "domain"
"""Name of what the models of domains say."""

FORMAT = 2
"""Version of what is kept of a student; it counts up when an older one cannot be read any more."""

FEWEST, MOST = 8, 256
"""Members of a stack, where there are as many: both even, for the sake of twins."""


class Member(NamedTuple):
    """One student of one arm. Equal fingerprints mean equal students, up to rounding.

    Attributes:
        vertical: whose rows it learns from.
        domain: of the vertical, where there is one.
        arm: `distilled`, or its twin `control`, which differs in nothing but the teacher.
        seed: number of the seed, from 0.
        random_seed: from which its weights, its order of rows and its dropout are drawn; the same for both arms.
        rows: number of its training rows.
        batch: number of rows of a step.
        settings: what may differ between members of one fleet.
        tables: how its tables are stepped, the same for a whole fleet.
        inputs: names of the vectors that it sees beside the features of its arm's view; empty where there are none.
        fingerprint: hash of all that decides how it turns out.
        group: hash of what it has in common with those that stop when it stops.
        stack: hash of what all members of a stack have in common; members of several recipes may.
    """

    vertical: str
    domain: str | None
    arm: Arm
    seed: int
    random_seed: int
    rows: int
    batch: int
    settings: dict[str, float]
    tables: Tables
    inputs: str
    fingerprint: str
    group: str
    stack: str = ""

    @property
    def name(self) -> str:
        """Vertical, arm and seed."""
        return f"{self.vertical}/{self.arm}/{self.seed}"


class Heard(NamedTuple):
    """Fingerprints of what students hear.

    Attributes:
        all: of what there is to hear.
        own: of what the students of one vertical hear of it.
    """

    all: str
    own: str


def roster(
    students: Students,
    impressions: Impressions,
    view: View,
    knowledge: str,
    seed: int,
    marks: Mapping[str, str] | None = None,
) -> list[Member]:
    """Every student that a recipe asks for, with its twin.

    Args:
        students: their section of the recipe.
        impressions: the rows.
        view: what the students see.
        knowledge: fingerprint of what the students hear: of the teacher's table, where they learn from it alone.
        seed: the recipe's.
        marks: vertical -> digest of all that its students hear, where that is less than all that there is to hear.
    """
    stack, found = stack_of(students, impressions, view, knowledge), []
    for vertical in impressions.verticals:
        drawn = [derived_seed(seed, "student", vertical, number) for number in range(students.seeds)]
        rows = [len(impressions.training_rows(vertical, "students", one)) for one in drawn]
        heard = Heard(knowledge, (marks or {}).get(vertical, knowledge))
        if min(rows) >= students.min_rows:
            found += [
                _member(students, impressions, view, heard, vertical, number, drawn[number], rows[number], arm)
                for number in range(students.seeds)
                for arm in ("distilled", "control")
            ]
    return [member._replace(stack=stack) for member in found]


def stack_of(students: Students, impressions: Impressions, view: View, knowledge: str) -> str:
    """What members of one stack have in common: whatever is not a number of each member of its own.

    Args:
        students: their section of the recipe.
        impressions: the rows.
        view: what the students see.
        knowledge: fingerprint of the teacher's table.
    """
    own = {
        **dict.fromkeys(("model", "features", "min_rows", "seeds"), True),
        "train": set(students.train.rates),
        "distill": {
            "logit": LOGIT_SETTINGS,
            **{name: {"weight"} for name in ("representation", "ranking")},
            **dict.fromkeys(("sharing", "schedule"), True),
        },
    }
    distill = students.distill
    kinds = [distill.representation.weight > 0, distill.ranking.weight > 0, distill.copies, distill.logit.second]
    shared = students.model_dump(mode="json", by_alias=True, exclude=own)
    return fingerprint(students.model.shape, shared, kinds, view.fingerprint, impressions.fingerprint, knowledge)


def size_class(rows: int) -> int:
    """Verticals of one class differ less than four times in size, so they can share a stack and a stopping rule."""
    return int(math.log2(max(1, rows))) // 2


def cohorts(members: Iterable[Member], step_rows: int) -> list[list[Member]]:
    """Who trains together: members of one size class with what a stack has in common, the longest training first.

    A pure function of the members; the twins of a vertical stay together.

    Args:
        members: who is to train.
        step_rows: rows of a whole stack's step, as near as can be: enough of them to make little of what a step costs
            besides, few enough for the processor's cache.
    """
    alike = lambda one: (-size_class(one.rows), one.tables, one.inputs, one.settings.get(RANK, 0), one.stack)  # noqa: E731
    ordered = sorted(members, key=lambda one: (*alike(one), *_place(one)))
    found = []
    for _, group in groupby(ordered, key=alike):
        left = list(group)
        while left:
            most = min(MOST, max(FEWEST, step_rows // left[0].batch // 2 * 2))
            found.append(left[:most])
            left = left[most:]
    return found


def _place(member: Member) -> tuple[int, str, int, str, str]:
    """Where a member stands in its stack: beside its twin, and beside itself with other settings."""
    return -member.rows, member.vertical, member.seed, member.arm, member.fingerprint


def _member(
    students: Students,
    impressions: Impressions,
    view: View,
    heard: Heard,
    vertical: str,
    number: int,
    random_seed: int,
    rows: int,
    arm: Arm,
) -> Member:
    settings = numbers_of(students, arm)
    batch = -(-rows // pass_steps(rows, students.train.batch, students.train.least_steps))
    tables = students.train.rule(view.schema(vertical), batch)
    common = [students.model, students.model.config, students.train, students.stopping, view.fingerprint, settings]
    common += [tables, FORMAT, *_thinned(impressions)]
    common += [] if students.spread == INITIAL_SPREAD else [students.spread]
    taught = lesson_of(students, settings) if arm == "distilled" else []
    lesson, together = ([source, *taught] if taught else [] for source in (heard.own, heard.all))
    return Member(
        vertical=vertical,
        domain=impressions.domains[vertical],
        arm=arm,
        seed=number,
        random_seed=random_seed,
        rows=rows,
        batch=batch,
        settings=settings,
        tables=tables,
        inputs=named(students.distill) if arm == "distilled" else "",
        fingerprint=fingerprint(common, lesson, impressions.parts[vertical], vertical, random_seed),
        group=fingerprint(common, together, size_class(rows)),
    )


def _thinned(impressions: Impressions) -> list[float]:
    """What decides which negatives students learn from, and how they are corrected and judged."""
    share, source = impressions.share("students"), impressions.settings.negatives.source
    return [] if share == source == 1 else [share, source]


def by_group(members: Sequence[Member]) -> Mapping[str, list[int]]:
    """Places of the members of each group."""
    groups: dict[str, list[int]] = {}
    for place, member in enumerate(members):
        groups.setdefault(member.group, []).append(place)
    return groups
