"""What is allowed in a recipe and often a mistake."""

import glob
from collections.abc import Iterator

from distill.data.settings import Sequence as History
from distill.data.tables import columns
from distill.errors import Fault
from distill.recipe.moves import Pacing
from distill.recipe.relations import teacher_paths
from distill.recipe.sections import CrossFit, InSample, Recipe, TrainedTeacher
from distill.recipe.several import Combine

ANSWERS = {
    *("label", "target", "outcome", "answer", "response", "rating", "stars", "score", "review"),
    *("click", "clicked", "conversion", "converted", "purchase", "purchased", "bought", "order", "ordered", "sale"),
}
"""Last words of a column's name that often mean what happened after the impression."""


def warnings(recipe: Recipe) -> list[Fault]:
    """What may be a mistake: features that look like the answer or repeat the vertical, by name; a path to nothing;
    scores that leak labels; domain models to which nobody listens; representations of several teachers; what refines
    or paces marks from which nobody learns."""
    every = (_features, _path, _scores, _domains, _representations, _marks)
    return [fault for look in every for fault in look(recipe)]


def _features(recipe: Recipe) -> Iterator[Fault]:
    data = recipe.data
    repeated = {data.vertical: "vertical", data.domain: "domain"}
    for name, feature in data.features.items():
        for column in columns(name, feature):
            where = f"data.features.{name}"
            if column in repeated:
                what = f'column "{column}" is the {repeated[column]}: to a student it is always the same.'
                yield Fault(where, what, "Leave it to the teacher, or out.")
            elif not isinstance(feature, History) and column.lower().split("_")[-1] in ANSWERS:
                what = f'column "{column}" may be the answer.'
                yield Fault(where, what, "Keep it only if it is known before the impression.")


def _path(recipe: Recipe) -> Iterator[Fault]:
    path = recipe.data.path
    if path is not None and not glob.glob(str(path), recursive=True):
        yield Fault("data.path", f"there is nothing at {path}.")


def _scores(recipe: Recipe) -> Iterator[Fault]:
    for path, teacher in teacher_paths(recipe).items():
        if isinstance(teacher, TrainedTeacher) and isinstance(teacher.score, InSample):
            what = "in_sample: the teacher is trained on the rows that it scores, so its scores leak their labels."
            yield Fault(".".join((*path, "score", "kind")), what, "Say time_ahead or cross_fit, unless to compare.")


def _domains(recipe: Recipe) -> Iterator[Fault]:
    if recipe.domains is not None and recipe.transfer == "direct":
        what = "their models are trained and compared, and no student learns from them."
        yield Fault("domains", what, "Leave students.distill.logit.source out, unless this is what you want.")


def _representations(recipe: Recipe) -> Iterator[Fault]:
    teacher, channel = recipe.teacher, recipe.students.distill.representation
    if channel.weight > 0 and isinstance(teacher, TrainedTeacher) and isinstance(teacher.score, CrossFit):
        what = "teachers of different folds have no common axes, and students would match them all at once."
        yield Fault("students.distill.representation", what, "Leave it out, or score by time_ahead.")


def _marks(recipe: Recipe) -> Iterator[Fault]:
    """Sweeps switch marks off by their weight and leave the rest as it is, so this is no fault."""
    distill = recipe.students.distill
    logit = distill.logit
    if logit.weight or distill.ranking.weight or (logit.adapter is not None and logit.adapter.weight):
        return
    refines = {"adapter": logit.adapter, "certainty": logit.certainty, "combine": logit.combine != Combine() or None}
    for name in (name for name, asked in refines.items() if asked is not None):
        what = "does nothing, since nobody learns from the marks: students.distill.logit.weight is 0."
        yield Fault(f"students.distill.logit.{name}", what, "Raise that, or leave this out.")
    if distill.schedule != Pacing() and not distill.representation.weight:
        what = "does nothing, since the weights that it paces are 0: those of logit, representation and ranking."
        yield Fault("students.distill.schedule", what, "Raise one, or leave this out.")
