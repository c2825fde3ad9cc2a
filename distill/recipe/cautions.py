"""What is allowed in a recipe and often a mistake."""

import glob
from collections.abc import Iterator

from distill.data.settings import Sequence as History
from distill.data.tables import columns
from distill.errors import Fault
from distill.recipe.sections import CrossFit, Recipe, TrainedTeacher

ANSWERS = {
    *("label", "target", "outcome", "answer", "response", "rating", "stars", "score", "review"),
    *("click", "clicked", "conversion", "converted", "purchase", "purchased", "bought", "order", "ordered", "sale"),
}
"""Last words of a column's name that often mean what happened after the impression."""


def warnings(recipe: Recipe) -> list[Fault]:
    """What may be a mistake: features that look like the answer or repeat the vertical, by name; a path to nothing;
    domain models to which nobody listens; representations of several teachers."""
    return [*_features(recipe), *_path(recipe), *_domains(recipe), *_representations(recipe)]


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


def _domains(recipe: Recipe) -> Iterator[Fault]:
    if recipe.domains is not None and recipe.transfer == "direct":
        what = "their models are trained and compared, and no student learns from them."
        yield Fault("domains", what, "Leave students.distill.logit.source out, unless this is what you want.")


def _representations(recipe: Recipe) -> Iterator[Fault]:
    teacher, channel = recipe.teacher, recipe.students.distill.representation
    if channel.weight > 0 and isinstance(teacher, TrainedTeacher) and isinstance(teacher.score, CrossFit):
        what = "teachers of different folds have no common axes, and students would match them all at once."
        yield Fault("students.distill.representation", what, "Leave it out, or score by time_ahead.")
