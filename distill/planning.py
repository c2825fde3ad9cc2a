"""Planning: what a run would do, without doing it."""

from collections.abc import Callable
from typing import Any, NamedTuple, get_args

from distill.cost import OPTIMIZER_COPIES, Cost, cost
from distill.data.impressions import TEST, TRAIN, VALID, Impressions, load
from distill.domains import domain_manifest
from distill.knowledge import KnowledgeStore, Manifest, import_table
from distill.lesson import manifest_of
from distill.member import SOURCE, Member
from distill.panel import Seat, lesson_of, seats
from distill.ranker import Ranker, resolve
from distill.recipe import Recipe
from distill.recipe.sections import Model, OutsideTeacher
from distill.store import Store
from distill.training import wanting
from distill.transfer import members_of
from distill.types import FeatureSchema


def plan(recipe: Recipe) -> dict[str, Any]:
    """Stages, cohorts, what is cached, bytes on disk and in memory. Reads the data and the scores of an
    outside teacher; trains nothing.

    Returns:
        The object that `distill plan --json` writes. `seconds` is null: nothing has been timed. `changes` is what
        differs from the data as they were encoded before.
    """
    store = Store(recipe.store)
    impressions = load(recipe.data, store.data)
    teachers = teacher_stages(recipe, impressions, store.knowledge)
    knowledge, teacher = next(iter(teachers.items()))
    view = impressions.view(recipe.students.features, "vertical")
    members = members_of(recipe, impressions, knowledge, store.knowledge)
    new = wanting(members, store.cohorts, recipe.trainer.device)
    weights = {vertical: weight_bytes(recipe, view.schema(vertical)) for vertical in {one.vertical for one in members}}
    cohorts = [cohort_facts(cohort.members, weights) for cohort in new]
    missing = sum(len(cohort.members) for cohort in new)
    domains = _domains(recipe, impressions, teacher["kind"], knowledge, store.knowledge)
    return {
        "stages": [data_stage(impressions), *teachers.values(), *domains, _students(recipe, members, missing)],
        "sizes": _sizes(recipe, impressions),
        "cohorts": cohorts,
        "members": len(members),
        "cached": len(members) - missing,
        "bytes": sum(one["bytes"] for one in (*teachers.values(), *domains, *cohorts)),
        "memory": max((cohort["memory"] for cohort in cohorts), default=0),
        "seconds": None,
        "changes": impressions.changes,
    }


def data_stage(impressions: Impressions) -> dict[str, Any]:
    """The stage that reads the impressions."""
    rows = {
        name: len(impressions.select(split)) for name, split in (("train", TRAIN), ("valid", VALID), ("test", TEST))
    }
    return {"stage": "data", "cached": True, "rows": rows, "verticals": len(impressions.verticals)}


def teacher_stages(recipe: Recipe, impressions: Impressions, store: KnowledgeStore) -> dict[str, dict[str, Any]]:
    """Fingerprint of what a teacher says -> its stage; the first one first."""
    return dict(_teacher_stage(recipe, impressions, store, seat) for seat in seats(recipe))


def _teacher_stage(
    recipe: Recipe, impressions: Impressions, store: KnowledgeStore, seat: Seat
) -> tuple[str, dict[str, Any]]:
    name = seat.name if seat.name == SOURCE else f"{SOURCE} {seat.name}"
    if isinstance(seat.teacher, OutsideTeacher):
        manifest = import_table(seat.teacher.knowledge, impressions, store).manifest
        said = {"knowledge": str(seat.teacher.knowledge), "kind": manifest.kind, "bytes": 0}
        return manifest.fingerprint, {"stage": name, "cached": True, **said}
    lesson = lesson_of(recipe, impressions, seat=seat)
    manifest, settings = manifest_of(lesson), seat.teacher.train
    stage = {
        "stage": name,
        "cached": store.find(manifest.fingerprint) is not None,
        "class": manifest.teacher,
        "kind": manifest.kind,
        "steps": -(-len(lesson.learnt_rows) // settings.batch) * settings.epochs,
        "bytes": _table_bytes(manifest),
    }
    return manifest.fingerprint, stage


def _domains(
    recipe: Recipe, impressions: Impressions, kind: str, knowledge: str, store: KnowledgeStore
) -> list[dict[str, Any]]:
    """The stage of the domain models, where there is one."""
    domains = recipe.domains
    if domains is None:
        return []
    manifest = domain_manifest(recipe, impressions, kind, knowledge)
    stage = {
        "stage": "domains",
        "cached": store.find(manifest.fingerprint) is not None,
        "class": manifest.teacher,
        "kind": manifest.kind,
        "domains": domains.clusters or len(set(impressions.domains.values())),
        "steps": -(-len(impressions.select(TRAIN)) // domains.train.batch),
        "bytes": _table_bytes(manifest),
    }
    return [stage]


class Size(NamedTuple):
    """The teacher in one setting of its dial, where it has one.

    Attributes:
        name: the setting; None where there is no dial.
        chosen: whether the recipe has it.
        cost: what it takes.
        build: makes it.
    """

    name: str | None
    chosen: bool
    cost: Cost
    build: Callable[[], Ranker]


def sizes(model: Model, schema: FeatureSchema) -> list[Size]:
    """What a ranker costs; where one dial sets its size, what each setting of the dial would, all else as given."""
    dial = type(model.config).model_fields.get("size")
    return [_size(model, schema, name) for name in (get_args(dial.annotation) if dial else (None,))]


def _size(model: Model, schema: FeatureSchema, name: str | None) -> Size:
    config = model.config if name is None else model.config.model_copy(update={"size": name})
    build = lambda: resolve(model.path)(schema, config)  # noqa: E731
    return Size(name, config == model.config, cost(build, schema), build)


def _sizes(recipe: Recipe, impressions: Impressions) -> list[dict[str, Any]]:
    if isinstance(recipe.teacher, OutsideTeacher):
        return []
    model, schema = recipe.teacher.model, impressions.view(recipe.teacher.features, "all").schema(None)
    return [
        {"class": model.path, "size": one.name, "chosen": one.chosen, **one.cost._asdict()}
        for one in sizes(model, schema)
    ]


def _students(recipe: Recipe, members: list[Member], missing: int) -> dict[str, Any]:
    return {
        "stage": "students",
        "cached": missing == 0,
        "class": recipe.students.model.path,
        "members": len(members),
        "missing": missing,
    }


def cohort_facts(members: list[Member], weights: dict[str, int]) -> dict[str, Any]:
    """Tables are filled up to the tallest of the stack while they train, and cut to their own height on disk."""
    own = [weights[member.vertical] for member in members]
    return {
        "members": len(members),
        "verticals": len({member.vertical for member in members}),
        "rows": [members[-1].rows, members[0].rows],
        "bytes": sum(own),
        "memory": OPTIMIZER_COPIES * max(own) * len(members),
    }


def _table_bytes(manifest: Manifest) -> int:
    return manifest.rows * (2 * len(manifest.tasks) + 2 * manifest.width + 1)


def weight_bytes(recipe: Recipe, schema: Any) -> int:
    """Of one student's weights."""
    return sum(tensor.numel() * tensor.element_size() for tensor in recipe.students.model.build(schema).parameters())
