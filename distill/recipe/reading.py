"""YAML as data only: no tags that construct, no repeated keys, no anchors; every value with its line and column."""

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.nodes import Node as YamlNode

from distill.recipe.tree import Node, Place, Report, Source

PREFIX = "tag:yaml.org,2002:"
NUMBERS = {f"{PREFIX}{kind}" for kind in ("int", "float", "bool", "null")}
PLAIN = NUMBERS | {f"{PREFIX}{kind}" for kind in ("str", "timestamp", "map", "seq", "merge", "value")}
"""Tags of data. A date stays the text that it is: YAML 1.2 knows none."""


def read(text: str, source: Source, report: Report) -> Node | None:
    """The tree of a YAML text; None, and a fault in the report, where it is not YAML.

    Dates stay text, `1e-3` is a number, `yes` and `no` are text (YAML 1.2).
    """
    try:
        root = YAML(typ="safe", pure=True).compose(text)
        return _Reader(source, report).node(root, Place(source)) if root else Node(None, Place(source))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(source, mark.line + 1, mark.column + 1) if mark else Place(source)
        report.add(place, "", f"this is not YAML: {_reason(error)}.", _hint(error))
    except YAMLError as error:
        report.add(Place(source), "", f"this is not YAML: {str(error).splitlines()[0]}.")
    except RecursionError:
        report.add(Place(source), "", "this is not a recipe: it is nested too deeply.")
    return None


def _reason(error: MarkedYAMLError) -> str:
    return ", ".join(filter(None, (error.context, error.problem)))


def _hint(error: MarkedYAMLError) -> str:
    if "'\\t'" in str(error.problem):
        return "Indent with spaces."
    return 'Put text with ": " or " #" in it in quotes.' if "mapping values" in str(error.problem) else ""


class _Reader:
    """Turns the nodes of one YAML text into ours."""

    def __init__(self, source: Source, report: Report) -> None:
        self.source = source
        self.report = report
        self.scalars = YAML(typ="safe", pure=True).constructor
        self.seen: set[int] = set()

    def node(self, node: YamlNode, place: Place, path: tuple[str, ...] = ()) -> Node:
        """Our node for YAML's; `path` is the key path in the user's spelling."""
        spelled = path[-1] if path else ""
        if id(node) in self.seen:
            self._refuse(place, path, "recipes have no anchors and aliases (& and *).", "Write it out.")
            return Node(None, place, spelled, refused=True)
        self.seen.add(id(node))
        if node.tag not in PLAIN:
            self._refuse(place, path, f'the tag "{node.tag}" is refused: a recipe is data only.', "Remove it.")
            return Node(None, place, spelled, refused=True)
        try:
            return Node(self._value(node, path), place, spelled)
        except (ValueError, KeyError):
            self._refuse(place, path, f'cannot read "{node.value[:40]}" as {node.tag.removeprefix(PREFIX)}.')
            return Node(None, place, spelled, refused=True)

    def _value(self, node: YamlNode, path: tuple[str, ...]) -> Any:
        if isinstance(node, MappingNode):
            return self._map(node, path)
        if isinstance(node, SequenceNode):
            return [self.node(item, self._place(item), (*path, str(i))) for i, item in enumerate(node.value)]
        return self.scalars.construct_object(node) if node.tag in NUMBERS else node.value

    def _map(self, node: MappingNode, path: tuple[str, ...]) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        for key, value in node.value:
            place = self._place(key)
            if not isinstance(key, ScalarNode):
                self._refuse(place, path, "a key must be a plain name.")
            elif key.value in entries:
                first = entries[key.value].place.line
                self._refuse(place, (*path, key.value), f"this key is already given in line {first}.", "Keep one.")
            else:
                entries[key.value] = self.node(value, place, (*path, key.value))
        return entries

    def _refuse(self, place: Place, path: tuple[str, ...], what: str, remedy: str = "") -> None:
        self.report.add(place, ".".join(path), what, remedy)

    def _place(self, node: YamlNode) -> Place:
        return Place(self.source, node.start_mark.line + 1, node.start_mark.column + 1)
