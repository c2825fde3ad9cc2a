"""Tables on standard output, and the same as JSON."""

import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.printable import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

Table = dict[str, Any]

PIPED = 160
"""Width of a table that no terminal shows."""

SHOWN = 20
"""Lines of a list that a terminal shows."""

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


class Bytes(int):
    """How large something is; JSON has the number, a terminal a readable one.

    >>> [str(Bytes(number)) for number in (0, 1023, 1024, 5 << 29)]
    ['0 B', '1023 B', '1.0 KiB', '2.5 GiB']
    """

    def __str__(self) -> str:
        unit = min(max(int(self).bit_length() - 1, 0) // 10, len(UNITS) - 1)
        return f"{self / 1024**unit:.{min(unit, 1)}f} {UNITS[unit]}"


@contextmanager
def silence() -> Iterator[None]:
    """Sends what libraries print to standard error: standard output is for the table."""
    with redirect_stdout(sys.stderr):
        yield


def emit(table: Table, to: str | None, render: "Callable[[Table], RenderableType] | None" = None) -> None:
    """Prints a table, or writes it as JSON to standard output, or does both where `to` is a file.

    Args:
        table: plain values. Numbers that do not exist, infinite ones among them, become null in JSON.
        to: a file, `-` for standard output, or None.
        render: how it looks on a terminal, where control characters are written out; otherwise a heading and a few
            lines for each entry.
    """
    text = json.dumps(_finite(table), indent=1, ensure_ascii=False, allow_nan=False)
    if to == "-":
        print(text)
        return
    if to is not None:
        Path(to).write_text(f"{text}\n", encoding="utf-8")
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else PIPED, markup=False, highlight=False)
    shown = printable(table)
    for part in [render(shown)] if render else parts(shown):
        console.print(part)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(below) for below in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def parts(table: Table) -> "Iterator[RenderableType]":
    """A table for each list of rows, a line for each other value."""
    for name, value in table.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield _rows(name, value)
        elif value not in (None, [], {}):
            yield f"{name}: {_cell(value)}"


def _rows(name: str, rows: list[Table]) -> "RenderableType":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Rows
    from rich.text import Text

    columns = list(dict.fromkeys(key for row in rows for key in row))
    shown = Rows(title=name, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        shown.add_column(column, justify="right" if any(_is_number(row.get(column)) for row in rows) else "left")
    for row in rows:
        shown.add_row(*(Text(_cell(row.get(column))) for column in columns))
    return shown


def first(names: Sequence[str], count: int = SHOWN) -> str:
    """As many names as there is room for.

    >>> first(["a", "b", "c", "d"], 2)
    'a, b ... and 2 more'
    """
    more = f" ... and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_cell(below)}" for key, below in value.items())
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    if isinstance(value, Bytes):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
