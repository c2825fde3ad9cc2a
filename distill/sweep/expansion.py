"""Expansion: from what a sweep varies to the changes of each of its points. Pure: the same file, the same list."""

import json
from itertools import product

from distill.recipe.tree import Node, Report
from distill.sweep.points import Range

Changes = dict[str, Node]
"""Dotted key of a recipe -> its value, where it was written."""

VARIED = ("data", "teacher", "teachers", "students", "seed")
"""Sections that a sweep may vary: those that decide how a student turns out."""

BOUNDS = ("low", "high", "log")

SEARCHED = ("n", "batch", "per_vertical")
"""What `search` says beside its ranges."""


def expand(tree: Node, report: Report) -> list[Changes]:
    """The changes of each point: every combination of `grid`, with every entry of `list`, with every draw of `random`;
    or as many draws from the ranges of `search` as it asks for besides.

    Args:
        tree: the sweep as it was written.
        report: told what is wrong.
    """
    if "search" in tree.keys:
        for key in ("grid", "list", "random", "halving"):
            if key in tree.keys:
                report.add(tree.keys[key].place, key, "cannot stand beside search.", "Keep one of them.")
        return _drawn(tree, report, "search", SEARCHED)
    axes = [_grid(tree, report), _listed(tree, report), _drawn(tree, report, "random", ("n",))]
    _tell_twice(axes, report)
    points = [dict(kv for part in parts for kv in part.items()) for parts in product(*axes)]
    found: dict[str, Changes] = {}
    for point in points:
        found.setdefault(repr({key: node.plain() for key, node in point.items()}), point)
    return list(found.values())


def keyed(node: Node, path: str, report: Report) -> Changes:
    """A map whose keys are dotted keys of a recipe; those that cannot be varied are told and left out."""
    found = {}
    for key, value in node.keys.items():
        if key.split(".")[0] in VARIED and all(key.split(".")):
            found[key] = value
        else:
            what = "a sweep varies data, teacher, teachers, students and seed, by dotted keys."
            report.add(value.place, f"{path}.{key}", what, "Such as students.train.learning_rate.")
    return found


def is_map(node: Node, path: str, report: Report) -> bool:
    """Whether a node is a map that says something; told where it is not."""
    if not node.keys:
        report.add(node.place, path, "expected a map of dotted keys.", "Leave it out where nothing varies.")
    return bool(node.keys)


def _grid(tree: Node, report: Report) -> list[Changes]:
    node = tree.keys.get("grid")
    if node is None or not is_map(node, "grid", report):
        return [{}]
    lists = {key: _values(one, f"grid.{key}", report) for key, one in keyed(node, "grid", report).items()}
    told = {key: values for key, values in lists.items() if values}
    return [dict(zip(told, chosen, strict=True)) for chosen in product(*told.values())]


def _values(node: Node, path: str, report: Report) -> list[Node]:
    """The values of a key, none of them twice; empty, and told, where there is no list of them."""
    if not isinstance(node.value, list) or not node.value:
        one = "1, 2" if node.value in (None, [], {}) else json.dumps(node.plain())
        report.add(node.place, path, "expected a list of values.", f"Write [{one}].")
        return []
    seen = set()
    for value in node.value:
        said = json.dumps(value.plain())
        if said in seen:
            report.add(value.place, path, f"{said} is given twice.", "Keep one.")
        seen.add(said)
    return node.value


def _listed(tree: Node, report: Report) -> list[Changes]:
    node = tree.keys.get("list")
    if node is None:
        return [{}]
    if not isinstance(node.value, list) or not node.value:
        report.add(node.place, "list", "expected a list of maps, one a point.", "Write [{students.seeds: 2}].")
        return [{}]
    entries = [(f"list.{place}", entry) for place, entry in enumerate(node.value)]
    return [keyed(entry, path, report) for path, entry in entries if is_map(entry, path, report)] or [{}]


def ranges(node: Node, path: str, words: tuple[str, ...], report: Report) -> dict[str, tuple[Range, Node]]:
    """Dotted key -> its range, and where that was written; what is none is told and left out.

    Args:
        node: a map of ranges.
        path: of it.
        words: keys that are no ranges.
        report: told what is wrong.
    """
    said = keyed(Node({key: one for key, one in node.keys.items() if key not in words}, node.place), path, report)
    return {key: (Range(**one.plain()), one) for key, one in said.items() if _is_range(one, f"{path}.{key}", report)}


def _drawn(tree: Node, report: Report, path: str, words: tuple[str, ...]) -> list[Changes]:
    """Draws, each of which depends on its number and key alone, so that more of them leave the first as they are."""
    node = tree.keys.get(path)
    if node is None or not is_map(node, path, report):
        return [{}]
    count = node.keys.get("n")
    if count is None or type(count.value) is not int or count.value < 1:
        place = count.place if count else node.place
        report.add(place, f"{path}.n", "expected how many points to draw, as a whole number.", "Write n: 8.")
        return [{}]
    found = ranges(node, path, words, report)
    return [
        {key: Node(one.draw(key, number), written.place) for key, (one, written) in found.items()}
        for number in range(count.value)
    ]


def _is_range(node: Node, path: str, report: Report) -> bool:
    said = node.plain()
    numbers = isinstance(said, dict) and all(
        isinstance(said.get(end), int | float) and not isinstance(said[end], bool) for end in ("low", "high")
    )
    if not numbers or not set(said) <= set(BOUNDS) or not isinstance(said.get("log", False), bool):
        report.add(node.place, path, "expected a range.", "Write {low: 1.0e-4, high: 1.0e-2, log: true}.")
        return False
    low, high = said["low"], said["high"]
    if not low < high:
        report.add(node.place, path, f"expected a low below the high, not {low} and {high}.")
    if said.get("log") and not low > 0:
        report.add(node.place, path, f"expected a low above 0 where log is true, not {low}.")
    return low < high and (low > 0 or not said.get("log"))


def _tell_twice(axes: list[list[Changes]], report: Report) -> None:
    """Tells of keys that several of grid, list and random vary, since one would silently win."""
    seen: set[str] = set()
    for axis in axes:
        keys = {key: node for changes in axis for key, node in changes.items()}
        for key in keys.keys() & seen:
            report.add(keys[key].place, key, "is varied twice.", "Keep one.")
        seen |= keys.keys()
