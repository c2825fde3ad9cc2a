"""What must hold where several teachers are heard together."""

import re
from collections.abc import Iterator

from distill.errors import suggestion
from distill.recipe.finding import Finding
from distill.recipe.sections import Recipe
from distill.recipe.tree import KeyPath

LOGIT: KeyPath = ("students", "distill", "logit")
COMBINE: KeyPath = (*LOGIT, "combine")
NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"
TAKEN = {"teacher": "the first teacher", "domain": "the models of domains"}


def together_findings(recipe: Recipe) -> Iterator[Finding]:
    """Every relation between teachers that does not hold."""
    yield from _names(recipe)
    yield from _listeners(recipe)
    yield from _weights(recipe)
    yield from _one_alone(recipe)
    yield from _recent(recipe)


def heard_names(recipe: Recipe) -> list[str]:
    """Whose marks the students hear: the teachers by name, and `domain` for the models of domains."""
    teachers = list(recipe.every_teacher) if recipe.source != "domain" else []
    return [*teachers, *(["domain"] if recipe.source != "teacher" else [])]


def _names(recipe: Recipe) -> Iterator[Finding]:
    for name in recipe.teachers:
        if name in TAKEN:
            yield Finding(("teachers", name), f'"{name}" means {TAKEN[name]}.', "Take another name.")
        elif not re.fullmatch(NAME, name):
            what = f'"{name}" is no name: letters, digits, dash, underscore.'
            yield Finding(("teachers", name), what, "Take another one.")


def _listeners(recipe: Recipe) -> Iterator[Finding]:
    """Domain models learn from the first teacher's first seed alone."""
    deaf = {("teachers",): bool(recipe.teachers), ("teacher", "seeds"): getattr(recipe.teacher, "seeds", 1) > 1}
    for path in (path for path, more in deaf.items() if more and recipe.source == "domain"):
        what = "nobody hears the others: domain models learn from the first teacher, and students from these."
        yield Finding(path, what, "Say students.distill.logit.source: both, or teacher.", ((*LOGIT, "source"),))


def _weights(recipe: Recipe) -> Iterator[Finding]:
    weights, path, valid = recipe.students.distill.logit.combine.weights, (*COMBINE, "weights"), heard_names(recipe)
    reads = (("teachers",), (*LOGIT, "source"))
    for name, weight in (weights or {}).items():
        if name not in valid:
            yield Finding((*path, name), f'there is no teacher "{name}".', suggestion(name, valid), reads)
        if weight < 0:
            yield Finding((*path, name), f"a weight is at least 0, not {weight:g}.", "Leave a teacher out with 0.")
    if weights is not None and not any(weights.get(name, 1) for name in valid):
        yield Finding(path, "no teacher has any weight.", "Give one of them more than 0.", reads)


def _one_alone(recipe: Recipe) -> Iterator[Finding]:
    """What means nothing where one ranker alone is heard."""
    seeds = getattr(recipe.teacher, "seeds", 1)
    if len(heard_names(recipe)) > 1 or (recipe.source != "domain" and seeds > 1):
        return
    logit = recipe.students.distill.logit
    reads = (("teachers",), ("teacher",), (*LOGIT, "source"))
    asked = {
        (*LOGIT, "certainty"): (logit.certainty, "one ranker's log-odds have no spread."),
        (*COMBINE, "recent"): (logit.combine.recent, "weighs several teachers, and there is one."),
        (*COMBINE, "gate"): (logit.combine.gate or None, "chooses between several teachers, and there is one."),
    }
    for path, (value, what) in asked.items():
        if value is not None:
            yield Finding(path, what, "Ask for teacher.seeds: 3, name more under teachers, or leave it out.", reads)


def _recent(recipe: Recipe) -> Iterator[Finding]:
    if recipe.students.distill.logit.combine.recent is not None and recipe.data.time is None:
        path = (*COMBINE, "recent")
        what = "needs data.time: without it no row is earlier than another."
        yield Finding(path, what, "Name the column of times, or leave it out.", (("data", "time"),))
