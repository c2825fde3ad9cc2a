"""What must hold between the sections of a recipe, beyond what each section says of itself."""

import re
from collections.abc import Iterator, Sequence

from distill.data.layout import IDS, of_kind
from distill.errors import suggestion
from distill.recipe.channels import channel_findings
from distill.recipe.finding import Finding
from distill.recipe.grouping import group_findings
from distill.recipe.impressions import FEATURES, TIME, section_findings
from distill.recipe.sections import CrossFit, Model, OutsideTeacher, Recipe, Score, Teacher, TimeAhead, TrainedTeacher
from distill.recipe.together import together_findings
from distill.recipe.tree import KeyPath

USER: KeyPath = ("data", "user")


def findings(recipe: Recipe) -> Iterator[Finding]:
    """Every relation that does not hold."""
    yield from section_findings(recipe.data)
    for path, teacher in teacher_paths(recipe).items():
        yield from _teacher(recipe, path, teacher)
    yield from _named_features(recipe, ("students", "features"), recipe.students.features)
    yield from _domains(recipe)
    yield from channel_findings(recipe)
    yield from together_findings(recipe)
    yield from _l2(recipe)
    yield from _batch_norm(recipe)
    yield from group_findings(recipe)
    yield from _store(recipe)
    yield from _alias(recipe)


def default_score(recipe: Recipe) -> Score | None:
    """How a teacher labels the training rows where the recipe does not say: the soundest way that the data allow."""
    if recipe.data.time is not None:
        return TimeAhead()
    return CrossFit(by=recipe.data.user) if recipe.data.user is not None else None


def _store(recipe: Recipe) -> Iterator[Finding]:
    """Rows are mapped into memory, and results are renamed into their place: object stores do neither."""
    if re.match(r"[a-zA-Z][\w+.-]+:/", str(recipe.store)):  # pathlib has taken one of the two slashes
        yield Finding(("store",), "is an address, where a folder is needed.", "Mount it, or name a shared folder.")


def _position(recipe: Recipe, path: KeyPath, teacher: TrainedTeacher) -> Iterator[Finding]:
    """A teacher that takes off what the place on the page adds has to see it, as an id.

    Of our own teachers: what a key of that name means elsewhere is not known here. As it was written, since the class
    may be unknown.
    """
    name = (teacher.model.model_extra or {}).get("position") if teacher.model.path.startswith("teachers.") else None
    seen = teacher.features or tuple(recipe.data.features)
    ids = [key for key in of_kind(recipe.data.features, *IDS) if key in seen]
    if isinstance(name, str) and name not in ids:
        place = (*path, "model", "position")
        reads = (place, FEATURES, (*FEATURES, name), (*path, "features"))
        what = f'the teacher sees no "{name}" that is categorical.'
        yield Finding(place, what, suggestion(name, ids), reads)


def teacher_paths(recipe: Recipe) -> dict[KeyPath, Teacher]:
    """Where each teacher stands in the recipe."""
    return {("teacher",): recipe.teacher} | {("teachers", name): one for name, one in recipe.teachers.items()}


def _teacher(recipe: Recipe, path: KeyPath, teacher: Teacher) -> Iterator[Finding]:
    if isinstance(teacher, OutsideTeacher):
        if recipe.data.row_id is None:
            what = "a teacher from outside needs data.row_id, by which its scores find their rows."
            yield Finding((*path, "knowledge"), what, "Name the column.", (("data", "row_id"),))
        if recipe.data.negatives.teacher != 1:
            place = ("data", "negatives", "teacher")
            what = "a teacher from outside learns nothing here."
            yield Finding(place, what, "Leave it out; its table says `distill.negatives`: docs/knowledge.md.", (place,))
        return
    yield from _named_features(recipe, (*path, "features"), teacher.features)
    yield from _position(recipe, path, teacher)
    yield from _score(recipe, path, teacher)


def _score(recipe: Recipe, path: KeyPath, teacher: TrainedTeacher) -> Iterator[Finding]:
    place = (*path, "score")
    given = "score" in teacher.model_fields_set
    score = teacher.score if given else default_score(recipe)
    if score is None:
        what = 'how the teacher scores is open: "score" is missing, and the data name neither time nor user.'
        yield Finding(path, what, "Add data.time (best) or data.user.", (TIME, USER, place))
    if not isinstance(score, TimeAhead):
        return
    if recipe.data.time is None:
        remedy = "Name the column of times, or score by cross_fit."
        yield Finding((*place, "kind"), "time_ahead needs data.time.", remedy, (TIME, place))
    if teacher.train.epochs != 1:
        epochs = (*path, "train", "epochs")
        what = f"time_ahead makes one pass in time order, not {teacher.train.epochs}."
        yield Finding(epochs, what, "Set 1, or score by cross_fit.", (epochs, TIME, place))


def _domains(recipe: Recipe) -> Iterator[Finding]:
    domains, place, source = recipe.domains, ("domains",), ("students", "distill", "logit", "source")
    if domains is None:
        if recipe.domain_start:
            sharing = ("students", "distill", "sharing", "source")
            yield Finding(sharing, 'the section "domains" is missing.', "Add it, or say teacher.", (place, sharing))
        if recipe.source != "teacher":
            what = f'"{recipe.source}" means the models of domains, and the section "domains" is missing.'
            yield Finding(source, what, "Add it, or say teacher.", (place, source))
        return
    if recipe.data.domain is None and domains.clusters is None:
        what = "which verticals belong together is open: there is neither data.domain nor domains.clusters."
        reads = (("data", "domain"), (*place, "clusters"))
        yield Finding(place, what, "Name the column, or how many clusters to find.", reads)
    if recipe.data.time is None:
        what = "needs data.time: a label could reach its own score over the marks of a teacher that was cross-fitted."
        yield Finding(place, what, "Name the column of times, or leave the section out.", (TIME,))
    if domains.train.epochs != 1:
        path = (*place, "train", "epochs")
        yield Finding(
            path, f"domain models make one pass in time order, not {domains.train.epochs}.", "Set 1.", (path,)
        )
    yield from _named_features(recipe, (*place, "features"), domains.features)


def _named_features(recipe: Recipe, path: KeyPath, names: Sequence[str] | None) -> Iterator[Finding]:
    valid = list(recipe.data.features)
    if names is not None and not names:
        yield Finding(path, "names no feature.", "Name some, or leave the key out to take all.")
    for index, name in enumerate(names or ()):
        place = (*path, index)
        if name not in valid:
            what = f'there is no feature "{name}".'
            yield Finding(place, what, suggestion(name, valid), (place, FEATURES, (*FEATURES, name)))
        elif name in names[:index]:
            yield Finding(place, f'"{name}" is named twice.', "Remove one.")


def _l2(recipe: Recipe) -> Iterator[Finding]:
    sections = {("students",): recipe.students, ("domains",): recipe.domains, **teacher_paths(recipe)}
    for place, section in sections.items():
        train = getattr(section, "train", None)
        if train is not None and train.l2 > 0 and train.tables != "adam":
            path = (*place, "train", "l2")
            what = f"pulls at every embedding, and tables: {train.tables} may step only those that were read."
            yield Finding(path, what, "Say tables: adam beside it.", (path, (*place, "train", "tables")))


def _batch_norm(recipe: Recipe) -> Iterator[Finding]:
    """Who scores a row before learning from it does so in training, where batch norm looks at other rows as well."""
    models: dict[KeyPath, Model] = {
        (*path, "model"): one.model for path, one in teacher_paths(recipe).items() if isinstance(one, TrainedTeacher)
    }
    if recipe.domains is not None:
        models[("domains", "model")] = recipe.domains.model or recipe.students.model
    for path, model in models.items():
        if (model.model_extra or {}).get("batch_norm"):  # As it was written: the class may be unknown.
            place = (*path, "batch_norm")
            yield Finding(
                place, "is for students: a teacher's score must not depend on other rows.", "Set false.", (path,)
            )


def _alias(recipe: Recipe) -> Iterator[Finding]:
    """MLflow keeps some names for itself."""
    alias, path = recipe.gates.alias, ("gates", "alias")
    if alias is not None and re.fullmatch(r"latest|v\d+", alias, re.IGNORECASE):
        yield Finding(path, f'"{alias}" is a name that MLflow keeps for versions.', "Name another, such as champion.")
    if alias is not None and recipe.tracking.uri is None:
        what = "an alias needs a model registry, and this recipe records nothing."
        yield Finding(path, what, "Set tracking.uri.", (path, ("tracking", "uri")))
