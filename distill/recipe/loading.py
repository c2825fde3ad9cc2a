"""From a YAML file and overrides to a recipe, or to every fault in them at once."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distill.recipe.checking import check
from distill.recipe.combining import combine
from distill.recipe.relations import default_score, findings
from distill.recipe.sections import Model, OutsideTeacher, Recipe
from distill.recipe.tree import KeyPath, Node, Report

PATHS: tuple[KeyPath, ...] = (("data", "path"), ("teacher", "knowledge"))
"""Paths that are relative to the file they stand in; those of an override are relative to the current folder."""


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
    return finished(combine(Path(path), overrides, report), report)


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
    whole = recipe.model_dump(mode="json", by_alias=True)
    whole["students"]["model"] = _settings(recipe.students.model)
    if not isinstance(recipe.teacher, OutsideTeacher):
        whole["teacher"]["model"] = _settings(recipe.teacher.model)
    if recipe.domains is not None:
        whole["domains"]["model"] = _settings(recipe.domains.model or recipe.students.model)
    return whole


def _settings(model: Model) -> dict[str, Any]:
    return {"class": model.path, **model.config.model_dump(mode="json", by_alias=True)}


def _resolved(recipe: Recipe, tree: Node) -> dict[str, Any]:
    """The same, with what depends on other sections or on where the recipe stands."""
    whole = complete(recipe)
    if not isinstance(recipe.teacher, OutsideTeacher) and "score" not in recipe.teacher.model_fields_set:
        whole["teacher"]["score"] = default_score(recipe).model_dump()
    whole["students"]["distill"]["logit"]["source"] = recipe.source
    if recipe.domain_start and recipe.domains is not None:
        whole["domains"]["features"] = recipe.domains.features or recipe.students.features
    for section, key in PATHS:
        node = tree.at((section, key))
        if node and node.value is not None:
            whole[section][key] = os.path.normpath(node.place.source.folder / Path(node.value).expanduser())
    return whole
