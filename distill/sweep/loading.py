"""From a sweep's YAML to its points, or to every fault in all of their recipes at once."""

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from distill.errors import Fault, RecipeError, suggestion
from distill.recipe import Recipe
from distill.recipe.combining import FIRST_OVERRIDE, combine, merge, nest
from distill.recipe.loading import finished
from distill.recipe.reading import read
from distill.recipe.tree import Node, Place, Report, Source
from distill.sweep.expansion import SEARCHED, Changes, expand, is_map, keyed, ranges
from distill.sweep.points import Halving, Point, Search, Sweep, names

EPOCHS = "students.train.epochs"

KEYS = ("name", "base", "grid", "list", "random", "search", "verticals", "halving")


BATCH = 8
"""Trials of a search that are trained as one, where the file does not say how many."""

EXAMPLE = "Write batch: 8, and per_vertical: true or false."


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
    base = combine(_base(path, tree.keys["base"], report), overrides, report)
    changes = expand(tree, report)
    verticals, halving = _verticals(tree, report), _halving(tree, changes, report)
    _tell_overridden({key for one in changes for key in one}, overrides, report)
    plain = [{key: node.plain() for key, node in one.items()} for one in changes]
    point = partial(_point, base, verticals)
    points = [point(name, one, report) for name, one in zip(names(plain), changes, strict=True)]
    search = _search(tree, point, report)
    report.settle()
    name = tree.keys["name"].value if "name" in tree.keys else path.stem
    return Sweep(name, points, halving, search)


def _tree(path: Path, report: Report) -> Node:
    """The sweep as it was written; its faults are those of a file after the recipe's own.

    Raises:
        RecipeError: it cannot be read, or names no recipe to start from, so that the rest means nothing.
    """
    source = Source(FIRST_OVERRIDE - 1, str(path), path.resolve().parent)
    try:
        tree = read(path.read_text(encoding="utf-8"), source, report)
    except (OSError, UnicodeDecodeError) as error:
        report.add(Place(source._replace(lined=False)), "", f"cannot be read: {error}.")
        tree = None
    if tree is None:
        report.settle()
    for key in [key for key in tree.keys if key not in KEYS]:
        report.add(tree.keys.pop(key).place, key, "unknown key.", suggestion(key, KEYS))
    base, name = tree.keys.get("base"), tree.keys.get("name")
    if base is None or not isinstance(base.value, str):
        report.add(base.place if base else tree.place, "base", "expected the path of a recipe.", "Write base: FILE.")
        report.settle()
    if name is not None and not re.fullmatch(Recipe.model_fields["name"].metadata[0].pattern, str(name.value)):
        report.add(name.place, "name", "expected letters, digits, dot, dash, underscore.")
    return tree


def _base(path: Path, node: Node, report: Report) -> Path:
    """The recipe that a sweep starts from.

    Raises:
        RecipeError: that is a sweep itself.
    """
    base = path.parent / node.value
    if is_sweep(base):
        report.add(node.place, "base", f'"{node.value}" is a sweep, not a recipe.', "Name the recipe it starts from.")
        report.settle()
    return base


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


def _search(tree: Node, point: Callable[[str, Changes, Report], Point], report: Report) -> Search | None:
    """What is searched for. Both ends of its ranges are tried as recipes, so that their faults are told now."""
    node = tree.keys.get("search")
    if node is None:
        return None
    said = {key: one.value for key, one in node.keys.items() if key in SEARCHED}
    trials, batch, apart = said.get("n"), said.get("batch", BATCH), said.get("per_vertical", False)
    if type(batch) is not int or batch < 1 or type(apart) is not bool:
        report.add(node.place, "search", "expected a batch and whether to search per vertical.", EXAMPLE)
        return None
    found = ranges(node, "search", SEARCHED, Report())  # Their faults were told when points were drawn.
    for key, (_, written) in found.items():
        if apart and not key.startswith("students."):
            report.add(written.place, f"search.{key}", "only settings of students may be one vertical's own.")
    if apart and "verticals" in tree.keys:
        report.add(tree.keys["verticals"].place, "verticals", "cannot stand beside search.per_vertical.", "Keep one.")
    for end in ("low", "high"):
        point(end, {key: Node(written.keys[end].value, written.place) for key, (_, written) in found.items()}, report)
    space = {key: one for key, (one, _) in found.items()}
    return Search(trials, batch, apart, space, lambda name, values: _asked(name, values, point, tree.place))


def _asked(name: str, values: Mapping[str, float], point: Callable[[str, Changes, Report], Point], at: Place) -> Point:
    """A point of a search."""
    report = Report()
    found = point(name, {key: Node(value, at) for key, value in values.items()}, report)
    report.settle()
    return found


def _point(base: Node, verticals: Mapping[str, Changes], name: str, changes: Changes, report: Report) -> Point:
    """A point, and the recipes of verticals with settings of their own."""
    special = tuple((pattern, _recipe(base, {**changes, **own}, report)) for pattern, own in verticals.items())
    plain = {key: node.plain() for key, node in changes.items()}
    return Point(name, plain, _recipe(base, changes, report), special)


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
