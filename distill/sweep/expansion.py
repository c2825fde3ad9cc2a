"""Expansion: from what a sweep varies to the changes of each of its points. Pure: the same file, the same list."""

import math
from itertools import product

import numpy as np

from distill.fingerprint import derived_seed
from distill.recipe.tree import Node, Report

Changes = dict[str, Node]
"""Dotted key of a recipe -> its value, where it was written."""

VARIED = ("data", "teacher", "teachers", "students", "seed")
"""Sections that a sweep may vary: those that decide how a student turns out."""

BOUNDS = ("low", "high", "log")


def expand(tree: Node, report: Report) -> list[Changes]:
    """The changes of each point: every combination of `grid`, with every entry of `list`, with every draw of `random`.

    Args:
        tree: the sweep as it was written.
        report: told what is wrong.
    """
    axes = [_grid(tree, report), _listed(tree, report), _drawn(tree, report)]
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
    values = keyed(node, "grid", report)
    for key, value in values.items():
        if not isinstance(value.value, list) or not value.value:
            report.add(value.place, f"grid.{key}", "expected a list of values.", "Write [1, 2].")
    lists = {key: value.value for key, value in values.items() if isinstance(value.value, list) and value.value}
    return [dict(zip(lists, chosen, strict=True)) for chosen in product(*lists.values())]


def _listed(tree: Node, report: Report) -> list[Changes]:
    node = tree.keys.get("list")
    if node is None:
        return [{}]
    if not isinstance(node.value, list) or not node.value:
        report.add(node.place, "list", "expected a list of maps, one a point.", "Write [{students.seeds: 2}].")
        return [{}]
    entries = [(f"list.{place}", entry) for place, entry in enumerate(node.value)]
    return [keyed(entry, path, report) for path, entry in entries if is_map(entry, path, report)] or [{}]


def _drawn(tree: Node, report: Report) -> list[Changes]:
    """Draws, each of which depends on its number and key alone, so that more of them leave the first as they are."""
    node = tree.keys.get("random")
    if node is None or not is_map(node, "random", report):
        return [{}]
    count = node.keys.get("n")
    if count is None or type(count.value) is not int or count.value < 1:
        place = count.place if count else node.place
        report.add(place, "random.n", "expected how many points to draw, as a whole number.", "Write n: 8.")
        return [{}]
    ranges = keyed(Node({key: one for key, one in node.keys.items() if key != "n"}, node.place), "random", report)
    ranges = {key: one for key, one in ranges.items() if _is_range(one, key, report)}
    return [{key: _draw(key, one, number) for key, one in ranges.items()} for number in range(count.value)]


def _is_range(node: Node, key: str, report: Report) -> bool:
    said = node.plain()
    numbers = isinstance(said, dict) and all(
        isinstance(said.get(end), int | float) and not isinstance(said[end], bool) for end in ("low", "high")
    )
    sound = numbers and set(said) <= set(BOUNDS) and isinstance(said.get("log", False), bool)
    if not sound or not said["low"] < said["high"] or (said.get("log") and said["low"] <= 0):
        report.add(node.place, f"random.{key}", "expected a range.", "Write {low: 1.0e-4, high: 1.0e-2, log: true}.")
        return False
    return True


def _draw(key: str, node: Node, number: int) -> Node:
    """Four digits are enough to draw from, and can be read. Between whole numbers, a whole number."""
    low, high, log = (node.keys[name].value if name in node.keys else False for name in BOUNDS)
    share = np.random.default_rng(derived_seed(number, "random", key)).random()
    if isinstance(low, int) and isinstance(high, int) and not log:
        return Node(low + int(share * (high - low + 1)), node.place)
    value = math.exp(math.log(low) + share * math.log(high / low)) if log else low + share * (high - low)
    return Node(float(f"{value:.4g}"), node.place)


def _tell_twice(axes: list[list[Changes]], report: Report) -> None:
    """Tells of keys that several of grid, list and random vary, since one would silently win."""
    seen: set[str] = set()
    for axis in axes:
        keys = {key: node for changes in axis for key, node in changes.items()}
        for key in keys.keys() & seen:
            report.add(keys[key].place, key, "is varied twice.", "Keep one.")
        seen |= keys.keys()
