"""From a YAML file and overrides to a recipe, or to every fault in them at once."""

import os
from collections.abc import Sequence
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from distill.errors import Fault, RecipeError
from distill.recipe.checking import check
from distill.recipe.combining import combine
from distill.recipe.relations import default_score, findings, teacher_paths
from distill.recipe.sections import Model, OutsideTeacher, Recipe
from distill.recipe.tree import KeyPath, Node, Report

_SWEEPS = "Name its base; or train it with distill sweep, or its teachers with distill teachers."


def load(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in a file, checked and complete.

    What it leaves open is filled in: the settings of the rankers, how the teacher scores, whole paths.

    Args:
        path: a YAML file. Data only; `extends: other.yaml` starts from another recipe.
        overrides: `key=value`, such as `students.train.epochs=3`; the value is YAML.

    Raises:
        RecipeError: with a fault for every mistake. No data have been read.
    """
    report = Report()
    tree = combine(Path(path), overrides, report)
    if isinstance(tree.value, dict) and "base" in tree.keys:
        raise RecipeError(Fault(str(path), "is a sweep, where one recipe is needed.", _SWEEPS))
    return finished(tree, report)


def finished(tree: Node, report: Report) -> Recipe:
    """The recipe that a combined tree says, checked and complete.

    Raises:
        RecipeError: with what the report held before, and a fault for every mistake.
    """
    checked = check(tree, report)
    for finding in findings(checked.recipe) if checked.recipe else ():
        if all(map(checked.trusts, (finding.path, *finding.reads))):
            report.add_at(tree, finding.path, finding.what, finding.remedy)
    report.settle()
    return Recipe.model_validate(_resolved(checked.recipe, tree), by_alias=True, by_name=False)


def complete(recipe: Recipe) -> dict[str, Any]:
    """A recipe as plain values, with every default of the sections and of the rankers' classes filled in."""
    whole = _whole(recipe, recipe.model_dump(mode="json", by_alias=True))
    whole["students"]["model"] = _settings(recipe.students.model)
    for path, teacher in teacher_paths(recipe).items():
        if not isinstance(teacher, OutsideTeacher):
            _below(whole, path)["model"] = _settings(teacher.model)
    if recipe.domains is not None:
        whole["domains"]["model"] = _settings(recipe.domains.model or recipe.students.model)
    return whole


def _whole(section: BaseModel, said: dict[str, Any]) -> dict[str, Any]:
    """With the settings that leave no trace in what is dumped, and so in fingerprints, as long as they are defaults."""
    for name, field in type(section).model_fields.items():
        value, key = getattr(section, name), field.alias or name
        if isinstance(value, BaseModel):
            _whole(value, said[key])
        elif field.exclude_if is not None:
            said.setdefault(key, value)
    return said


def _settings(model: Model) -> dict[str, Any]:
    return {"class": model.path, **model.config.model_dump(mode="json", by_alias=True)}


def _resolved(recipe: Recipe, tree: Node) -> dict[str, Any]:
    """The same, with what depends on other sections or on where the recipe stands."""
    whole, teachers = complete(recipe), teacher_paths(recipe)
    for path, teacher in teachers.items():
        if not isinstance(teacher, OutsideTeacher) and "score" not in teacher.model_fields_set:
            _below(whole, path)["score"] = default_score(recipe).model_dump()
    whole["students"]["distill"]["logit"]["source"] = recipe.source
    if recipe.domain_start and recipe.domains is not None:
        whole["domains"]["features"] = recipe.domains.features or recipe.students.features
    # Paths are relative to the file they stand in; those of an override, to the current folder.
    for path in (("data", "path"), *((*path, "knowledge") for path in teachers)):
        node = tree.at(path)
        if node and node.value is not None:
            where = os.path.normpath(node.place.source.folder / Path(node.value).expanduser())
            _below(whole, path[:-1])[path[-1]] = where
    return whole


def _below(tree: dict[str, Any], path: KeyPath) -> dict[str, Any]:
    """The map at the end of a path."""
    return reduce(getitem, path, tree)
