"""`distill bench`: how fast this toolkit is, as ratios to other ways of doing the same work."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from distill.bench import BENCHES
from distill.cli import arguments
from distill.cli.tables import emit, silence

if TYPE_CHECKING:
    from rich.console import RenderableType


NAMED = "\n\n".join(f"{name}: {clause}" for name, clause in BENCHES.items())
"""What there is to measure, a line each."""


def bench(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Benchmarks, as below; all where none is named.")
    ] = None,
    json: arguments.Json = None,
) -> None:
    """Measure how fast this toolkit is, as ratios to other ways of doing the same work in the same minutes."""
    from distill.bench.running import run
    from distill.progress import Progress

    with silence():
        table = run(names or (), Progress())
    emit(table, json, _render)


def _render(table: dict[str, Any]) -> "RenderableType":
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table

    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    shown.add_column("figure")
    for heading in ("value", "range", "target"):
        shown.add_column(heading, justify="right")
    shown.add_column("")
    for row in table["figures"]:
        shown.add_row(*_cells(row))
    return Group(*(f"{name}: {fact}" for name, fact in table["machine"].items()), shown)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    """One figure; why there is none stands where the word `short` would."""
    if row["value"] is None:
        return row["name"], "-", "", _target(row), row["reason"]
    value, low, high = (f"{row[key]:,.4g}" for key in ("value", "low", "high"))
    return row["name"], f"{value} {row['unit']}", f"{low} to {high}", _target(row), "short" if row["short"] else ""


def _target(row: dict[str, Any]) -> str:
    return "" if row["target"] is None else f"{row['bound']} {row['target']:g}"
