"""One tree from a recipe, the recipes that it extends, and the overrides of the command line."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distill.errors import nearest, suggestion
from distill.recipe import shape
from distill.recipe.reading import read
from distill.recipe.sections import Recipe
from distill.recipe.tree import Node, Place, Report, Source

EXTENDS = "extends"
"""Key of a recipe that names the recipe it starts from."""

FIRST_OVERRIDE = 1_000
"""Rank of the first override: after every file."""

_START = 'Start with "name: ..."; a sweep starts with "base: ...".'


def combine(path: Path, overrides: Sequence[str], report: Report) -> Node:
    """The whole recipe as one tree: what it extends, then the file, then the overrides.

    Raises:
        RecipeError: a file cannot be read at all; without it other faults mean nothing.
    """
    tree = _file(path, None, (), report)
    if tree is None:
        report.settle()
    given = Node({}, Place(Source(FIRST_OVERRIDE, "override", Path.cwd(), lined=False)))
    for rank, text in enumerate(overrides, FIRST_OVERRIDE):
        override = _override(text, rank, report)
        given = merge(given, override, None) if override else given
    return merge(tree, given, Recipe)


def merge(base: Node, over: Node, annotation: Any) -> Node:
    """`over` on top of `base`: maps merge, key by key; anything else is replaced.

    A section that names another kind (or split, or class) than `base` has replaces it: its keys mean other things.
    """
    both_maps = isinstance(base.value, dict) and isinstance(over.value, dict)
    if not both_maps or _switches(annotation, base, over):
        return over
    known = shape.keys(annotation, over.plain()) | shape.keys(annotation, base.plain())
    together = {key: node for key, node in base.keys.items() if key not in over.keys}
    for key, node in over.keys.items():
        below = base.keys.get(key)
        together[key] = merge(below, node, known.get(key)) if below else node
    return Node({key: together[key] for key in {**base.keys, **over.keys}}, min(base.place, over.place), base.spelled)


def _switches(annotation: Any, base: Node, over: Node) -> bool:
    said = shape.said(annotation, base.plain()), shape.said(annotation, over.plain())
    return None not in said and said[0] != said[1]


def spell_out(tree: Node) -> None:
    """Writes `age: numeric` out as `age: {kind: numeric}`, so that it can be merged and completed."""
    features = tree.at(("data", "features"))
    for node in features.keys.values() if features else ():
        if isinstance(node.value, str):
            node.value = {"kind": Node(node.value, node.place)}


def _file(path: Path, named_at: Place | None, chain: tuple[Path, ...], report: Report) -> Node | None:
    """The tree of one file on top of those that it extends; `chain` holds the files that led here."""
    source = Source(len(chain), os.path.normpath(path), path.resolve().parent)
    place, keys = (named_at, EXTENDS) if named_at else (Place(Source(0, str(path), Path(), lined=False)), "")
    if path.resolve() in chain:
        report.add(place, keys, f'"{source.name}" extends itself: a circle of recipes has no start.', "Cut it.")
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        report.add(place, keys, *_unreadable(path, source.name if named_at else "", error))
        return None
    tree = read(text, source, report)
    if tree is not None and not isinstance(tree.value, dict):
        report.add(tree.place, "", "a recipe is a map of keys and values; this is none.", _START)
        return None
    return _extended(tree, path, (*chain, path.resolve()), report) if tree else None


_SHIPPED = "The package has some: distill recipes ls, distill recipes cp NAME."


def _unreadable(path: Path, name: str, error: OSError | UnicodeDecodeError) -> tuple[str, str]:
    what = f'"{name}": ' if name else ""
    if isinstance(error, FileNotFoundError):
        beside = [str(file) for file in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        return f"{what}there is no such file.", suggestion(str(path), beside) if beside else _SHIPPED
    if isinstance(error, UnicodeDecodeError):
        return f"{what}this is not UTF-8 text.", "Save it as UTF-8."
    return f"{what}{(error.strerror or str(error)).lower()}.", ""


def _extended(tree: Node, path: Path, chain: tuple[Path, ...], report: Report) -> Node | None:
    spell_out(tree)
    node = _take_extends(tree, report)
    if node is None or node.refused:
        return tree
    if not isinstance(node.value, str):
        report.add(node.place, EXTENDS, "expected the path of another recipe, as text.")
        return None
    base = _file(path.parent / node.value, node.place, chain, report)
    return merge(base, tree, Recipe) if base else None


def _take_extends(tree: Node, report: Report) -> Node | None:
    """Takes `extends` out of a tree, in whatever spelling; misspelt, everything else would seem to be missing."""
    known = [*shape.hints(Recipe), EXTENDS]
    meant = [key for key in tree.keys if key == EXTENDS or (key not in known and nearest(key, known) == EXTENDS)]
    for key in meant:
        if key != EXTENDS:
            report.add(tree.keys[key].place, key, "unknown key.", suggestion(key, known))
    nodes = [tree.keys.pop(key) for key in meant]
    return nodes[0] if nodes else None


def _override(text: str, rank: int, report: Report) -> Node | None:
    """The tree of one `key=value`; the value is YAML."""
    source = Source(rank, f'override "{text}"', Path.cwd(), lined=False)
    key, equals, value = text.partition("=")
    if not equals or not all(key.split(".")):
        report.add(Place(source), "", "expected key=value,", 'such as "students.train.epochs=3".')
        return None
    node = read(value, source, report)
    return nest(key, node) if node else None


def nest(key: str, node: Node) -> Node:
    """The tree in which a value stands below a dotted key."""
    for part in reversed(key.split(".")):
        node.spelled = part
        node = Node({part: node}, node.place)
    spell_out(node)
    return node
