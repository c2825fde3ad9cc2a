"""Everything that is wrong with a tree now, one problem a place, found by pydantic and told in our words."""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from distill.errors import nearest
from distill.ranker import resolve
from distill.recipe import faults, shape
from distill.recipe.naming import Naming, wrong_class, wrong_key, wrong_tag
from distill.recipe.sections import Model, Recipe
from distill.recipe.tree import KeyPath, Node


class Problem(NamedTuple):
    """One thing that is wrong.

    Attributes:
        path: where; of a missing key, where it should be.
        kind: what is wrong: a key, the tag that decides what keys may follow, a key that is not there, or a value.
        what: the first sentence.
        remedy: the second.
        meant: the key or tag that was probably meant.
    """

    path: KeyPath
    kind: Literal["key", "tag", "missing", "value"]
    what: str
    remedy: str
    meant: str | None = None


def recipe_problems(tree: Node) -> list[Problem]:
    """What is wrong with the sections of a recipe; the rankers' own settings are not looked at."""
    return _problems(tree, Recipe)


def model_problems(node: Node) -> list[Problem]:
    """What is wrong with one ranker: its class path, or its settings by the class's own `Config`."""
    named = node.keys["class"].value
    wrong = wrong_class(named)
    if wrong:
        return [Problem(("class",), "tag", *wrong)]
    own = Node({key: below for key, below in node.keys.items() if key != "class"}, node.place)
    return _problems(own, resolve(named).Config)


def models(annotation: Any, node: Node, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Node]]:
    """The places of a tree that name a ranker by its class path."""
    if shape.peel(annotation)[0] is Model and shape.tag(annotation, node.plain()):
        yield path, node
    for key, below in shape.keys(annotation, node.plain()).items():
        if key in node.keys:
            yield from models(below, node.keys[key], (*path, key))


def _problems(tree: Node, model: type[BaseModel]) -> list[Problem]:
    try:
        taken = model.model_validate(tree.plain(), by_alias=True, by_name=False)
    except ValidationError as error:
        by_path: dict[KeyPath, list[ErrorDetails]] = {}
        for detail in error.errors(include_url=False):
            by_path.setdefault(_trace(tree, detail), []).append(detail)
        deepest = {path: found for path, found in by_path.items() if not _is_above(path, by_path)}
        return [_problem(tree, model, path, found) for path, found in deepest.items()]
    return list(_conversions(tree.plain(), taken.model_dump(by_alias=True), ()))


def _trace(tree: Node, error: ErrorDetails) -> KeyPath:
    """The key path of an error: pydantic's location without the names of types and variants."""
    node, path = tree, []
    for key in error["loc"]:
        below = node.child(key)
        if below is not None:
            node, path = below, [*path, key]
    return (*path, error["loc"][-1]) if error["type"] == "missing" else tuple(path)


def _is_above(path: KeyPath, others: dict[KeyPath, list[ErrorDetails]]) -> bool:
    """Whether something deeper is wrong; then this is only another type that the value might have had."""
    return any(len(other) > len(path) and other[: len(path)] == path for other in others)


def _problem(tree: Node, model: type[BaseModel], path: KeyPath, errors: list[ErrorDetails]) -> Problem:
    kind, value = errors[0]["type"], tree.plain()
    above = shape.below(model, value, path[:-1])
    parent = tree.line(path[:-1])[-1].plain()
    if kind == "extra_forbidden":
        return Problem(path, "key", *wrong_key(above, parent, str(path[-1]), path))
    if kind == "union_tag_invalid":
        annotation = shape.below(model, value, path)
        key = shape.tag_key(annotation)
        return Problem((*path, key), "tag", *wrong_tag(annotation, tree.at((*path, key)).plain()))
    if kind == "union_tag_not_found":
        annotation = shape.below(model, value, path)
        return _missing(annotation, tree.at(path).plain(), (*path, shape.tag_key(annotation)))
    if kind == "missing":
        return _missing(above, parent, path)
    return Problem(path, "value", *_wrong_value(model, value, path, errors))


def _missing(annotation: Any, value: dict[str, Any], path: KeyPath) -> Problem:
    """Of a key that must be there; where it is only misspelt, the misspelling is the problem."""
    key, known = str(path[-1]), shape.all_keys(annotation)
    meant_by = nearest(key, [name for name in value if name not in known])
    if key == shape.tag_key(annotation) and meant_by:
        naming = Naming("unknown key.", f'Did you mean "{key}"?', key)
        return Problem((*path[:-1], meant_by), "key", *naming)
    names = list(shape.variants(annotation)) if key == shape.tag_key(annotation) else []
    return Problem(path, "missing", *faults.missing(shape.section(annotation, value), key, names))


def _wrong_value(model: type[BaseModel], value: Any, path: KeyPath, errors: list[ErrorDetails]) -> tuple[str, str]:
    annotation, parent = shape.below(model, value, path), _value_at(value, path[:-1])
    section = shape.section(shape.below(model, value, path[:-1]), parent)
    return faults.wrong_value(errors, annotation, faults.description(section, str(path[-1])) if path else "")


def _value_at(value: Any, path: KeyPath) -> Any:
    for key in path:
        value = value[key]
    return value


def _conversions(given: Any, taken: Any, path: KeyPath) -> Iterator[Problem]:
    """The values that were silently taken for another type, such as "3" for 3 or true for 1."""
    if isinstance(given, dict) and isinstance(taken, dict):
        for key in given.keys() & taken.keys():
            yield from _conversions(given[key], taken[key], (*path, key))
    elif isinstance(given, list) and isinstance(taken, list | tuple):
        for index, pair in enumerate(zip(given, taken, strict=False)):
            yield from _conversions(*pair, (*path, index))
    elif isinstance(taken, int | float) and (
        isinstance(given, str) or isinstance(given, bool) != isinstance(taken, bool)
    ):
        yield Problem(path, "value", *faults.converted(given, taken))
