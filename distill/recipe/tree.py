"""A recipe before it is checked: a tree of values, each of which knows where it was written."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from distill.errors import Fault, RecipeError

KeyPath = tuple[str | int, ...]
"""The keys that lead to a value, outermost first; numbers count in lists."""


class Source(NamedTuple):
    """A file or an override.

    Attributes:
        rank: faults are told in this order: the recipe, what it extends, the overrides.
        name: how a user knows it.
        folder: what its relative paths are relative to.
        lined: whether a line and column mean anything in it.
    """

    rank: int
    name: str
    folder: Path
    lined: bool = True


class Place(NamedTuple):
    """Where a value was written; places sort in the order in which faults are told. Lines and columns count from 1."""

    source: Source
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}" if self.source.lined else self.source.name


@dataclass
class Node:
    """A value and its place.

    Attributes:
        value: a map or a list of nodes, or a plain value.
        place: where its key stands; in a list, where it stands itself.
        spelled: its key as the user wrote it; empty where the user wrote none.
        refused: already told to be wrong, so nothing more is said about it.
    """

    value: Any
    place: Place
    spelled: str = ""
    refused: bool = False

    @property
    def keys(self) -> dict[str, "Node"]:
        """Its map; empty where it is none."""
        return self.value if isinstance(self.value, dict) else {}

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        return [node.plain() for node in self.value] if isinstance(self.value, list) else self.value

    def child(self, key: str | int) -> "Node | None":
        """The node below `key`, or None."""
        if isinstance(self.value, list):
            return self.value[key] if isinstance(key, int) and key < len(self.value) else None
        return self.keys.get(key) if isinstance(key, str) else None

    def line(self, path: KeyPath) -> list["Node"]:
        """The nodes along a path, this one first, as far as they exist."""
        nodes = [self]
        for key in path:
            below = nodes[-1].child(key)
            if below is None:
                break
            nodes.append(below)
        return nodes

    def at(self, path: KeyPath) -> "Node | None":
        """The node at the end of a path, or None."""
        nodes = self.line(path)
        return nodes[-1] if len(nodes) == len(path) + 1 else None


@dataclass
class Report:
    """Gathers every fault of a recipe, so that all are told at once and in order."""

    found: list[tuple[Place, Fault]] = field(default_factory=list)

    def add(self, place: Place, keys: str, what: str, remedy: str = "") -> None:
        """Notes a fault at a place; `keys` is the dotted key path, where there is one."""
        said = not place.source.lined and place.source.name.startswith(f'override "{keys}=')
        where = f"{place}: {keys}" if keys and not said else str(place)
        self.found.append((place, Fault(where, what, remedy)))

    def add_at(self, tree: Node, path: KeyPath, what: str, remedy: str = "") -> None:
        """Notes a fault at a key path, in the user's spelling, at the nearest place that the user wrote."""
        nodes = tree.line(path)
        written = [node.spelled for node in nodes[1:]] + [str(key) for key in path[len(nodes) - 1 :]]
        self.add(nodes[-1].place, ".".join(filter(None, written)), what, remedy)

    def settle(self) -> None:
        """Raises what was found; returns where nothing was.

        Raises:
            RecipeError: with every fault, in the order of files, lines and overrides.
        """
        if self.found:
            raise RecipeError(*(fault for _, fault in sorted(self.found, key=lambda entry: entry[0])))
