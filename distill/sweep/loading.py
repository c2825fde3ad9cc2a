"""From a sweep's YAML to its points, or to every fault in all of their recipes at once."""

import copy
import re
from collections.abc import Sequence
from pathlib import Path

from distill.errors import Fault, RecipeError, suggestion
from distill.recipe import Recipe
from distill.recipe.combining import FIRST_OVERRIDE, combine, merge, nest
from distill.recipe.loading import finished
from distill.recipe.reading import read
from distill.recipe.tree import Node, Place, Report, Source
from distill.sweep.expansion import Changes, expand, is_map, keyed
from distill.sweep.points import Halving, Point, Sweep, names

EPOCHS = "students.train.epochs"

KEYS = ("name", "base", "grid", "list", "random", "verticals", "halving")


def is_sweep(path: Path) -> bool:
    """Whether a file says by a key `base` that it is a sweep; a file that cannot be read is none."""
    try:
        return re.search(r"^base\s*:", path.read_text(encoding="utf-8"), re.MULTILINE) is not None
    except (OSError, UnicodeDecodeError):
        return False


def load(path: Path, overrides: Sequence[str] = ()) -> Sweep:
    """The sweep in a file, each of its points a complete recipe.

    Args:
        path: a YAML file with `base`, the recipe to start from, and what to vary.
        overrides: `key=value`, for every point alike.

    Raises:
        RecipeError: with a fault for every mistake in the sweep and in any of its recipes. No data have been read.
    """
    report = Report()
    tree = _tree(path, report)
    base = combine(path.parent / tree.keys["base"].value, overrides, report)
    changes = expand(tree, report)
    verticals, halving = _verticals(tree, report), _halving(tree, changes, report)
    _tell_overridden({key for one in changes for key in one}, overrides, report)
    recipes = [_recipe(base, one, report) for one in changes]
    special = [[(name, _recipe(base, {**one, **own}, report)) for name, own in verticals.items()] for one in changes]
    report.settle()
    plain = [{key: node.plain() for key, node in one.items()} for one in changes]
    points = zip(names(plain), plain, recipes, map(tuple, special), strict=True)
    name = tree.keys["name"].value if "name" in tree.keys else path.stem
    return Sweep(name, [Point(*point) for point in points], halving)


def _tree(path: Path, report: Report) -> Node:
    """The sweep as it was written; its faults are those of a file after the recipe's own.

    Raises:
        RecipeError: it names no recipe to start from, so that the rest means nothing.
    """
    source = Source(FIRST_OVERRIDE - 1, str(path), path.resolve().parent)
    try:
        tree = read(path.read_text(encoding="utf-8"), source, report) or Node({}, Place(source))
    except (OSError, UnicodeDecodeError) as error:
        report.add(Place(source._replace(lined=False)), "", f"cannot be read: {error}.")
        tree = Node({}, Place(source))
    for key in [key for key in tree.keys if key not in KEYS]:
        report.add(tree.keys.pop(key).place, key, "unknown key.", suggestion(key, KEYS))
    base, name = tree.keys.get("base"), tree.keys.get("name")
    if base is None or not isinstance(base.value, str):
        report.add(base.place if base else tree.place, "base", "expected the path of a recipe.", "Write base: FILE.")
        report.settle()
    if name is not None and not re.fullmatch(Recipe.model_fields["name"].metadata[0].pattern, str(name.value)):
        report.add(name.place, "name", "expected letters, digits, dot, dash, underscore.")
    return tree


def _verticals(tree: Node, report: Report) -> dict[str, Changes]:
    """Pattern of names of verticals -> what holds for them alone: settings of students, since all else is shared."""
    node = tree.keys.get("verticals")
    if node is None or not is_map(node, "verticals", report):
        return {}
    found = {}
    for pattern, one in node.keys.items():
        path = f"verticals.{pattern}"
        found[pattern] = keyed(one, path, report) if is_map(one, path, report) else {}
        for key, value in found[pattern].items():
            if not key.startswith("students.") or key.startswith(("students.model.class", "students.min_rows")):
                what = "only settings of students may be one vertical's own, and not their class."
                report.add(value.place, f"{path}.{key}", what)
    return found


def _halving(tree: Node, changes: Sequence[Changes], report: Report) -> Halving | None:
    node = tree.keys.get("halving")
    if node is None:
        return None
    said = node.plain() if isinstance(node.value, dict) else {}
    passes, keep = said.get("passes"), said.get("keep", 0.5)
    whole = isinstance(passes, list) and len(passes) > 1 and all(type(one) is int and one > 0 for one in passes)
    share = isinstance(keep, float) and 0 < keep < 1
    if not (whole and share and set(said) <= {"passes", "keep"} and passes == sorted(set(passes))):
        report.add(node.place, "halving", "expected growing budgets.", "Write {passes: [1, 2, 4], keep: 0.5}.")
        return None
    if any(EPOCHS in one for one in changes):
        report.add(node.place, "halving", f"decides {EPOCHS} itself.", "Vary one or the other.")
    return Halving(tuple(passes), keep)


def _tell_overridden(varied: set[str], overrides: Sequence[str], report: Report) -> None:
    for text in overrides:
        key = text.partition("=")[0]
        if any(f"{one}.".startswith(f"{key}.") or f"{key}.".startswith(f"{one}.") for one in varied):
            source = Source(FIRST_OVERRIDE, f'override "{text}"', Path.cwd(), lined=False)
            report.add(Place(source), "", "the sweep varies this key.", "Leave it out, or change the sweep.")


def _recipe(base: Node, changes: Changes, report: Report) -> Recipe | None:
    """The recipe of one point; what is wrong with it is told once, however many points have it."""
    own, given = Report(), Node({}, base.place)
    for key, node in changes.items():
        given = merge(given, nest(key, copy.deepcopy(node)), None)
    try:
        return finished(merge(copy.deepcopy(base), given, Recipe), own)
    except RecipeError:
        told = {_said(fault) for _, fault in report.found}
        report.found += [(place, fault) for place, fault in own.found if _said(fault) not in told]
        return None


def _said(fault: Fault) -> tuple[str, str]:
    """What a fault says of which key, wherever it stands."""
    return fault.where.rpartition(": ")[2], fault.what
