"""How a terminal shows a plan: bytes in units, and of a long list the first lines."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from distill.cli.tables import SHOWN, Bytes, Table, parts

if TYPE_CHECKING:
    from rich.console import RenderableType

SIZES = ("bytes", "memory")


def planned(table: Table) -> "RenderableType":
    """What `distill plan` says of a recipe or a sweep."""
    from rich.console import Group

    return Group(*_lines(table))


def _lines(table: Table) -> "Iterator[RenderableType]":
    for name, value in _sized(table).items():
        if name == "seconds" and value is not None:
            yield f"seconds: {value:.4g} to train the students; the teacher and validation are not counted"
        elif isinstance(value, list):
            yield from parts({name: [_sized(row) for row in value[:SHOWN]]})
            if len(value) > SHOWN:
                yield f"... and {len(value) - SHOWN:,} more {name}"
        else:
            yield from parts({name: value})


def _sized(row: dict[str, Any]) -> dict[str, Any]:
    return row | {name: Bytes(row[name]) for name in SIZES if row.get(name) is not None}
