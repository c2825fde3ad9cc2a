"""The leaderboard on a terminal."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from distill.columns import SIGNS
from distill.report.footnotes import Footnote, footnotes, marked
from distill.report.lines import Choice, Group, Line, Row, absent, chosen, groups, lines
from distill.report.sentences import of_lead, sentences

MOST = 10
"""Lines of each verdict, where not everything is shown."""

CELLS = 17
"""Width of the bar that shows an interval against 0; odd, so that 0 has a cell."""

COLOURS = {"helped": "green", "unchanged": "cyan", "hurt": "red", "undecided": "yellow", "failed": "bold red"}

SHOWN = ("vertical", "rows_train", "rows_test", "ne_teacher", "ne_control", "ne", "ne_gain", "gap_closed", "verdict")
"""What the columns of the table are called in a leaderboard."""

NONE = "-"
"""Stands for a number that does not exist."""


def render(
    table: Row,
    level: float = 0.95,
    everything: bool = False,
    choice: Choice = Choice(),  # noqa: B008
) -> RenderableType:
    """The leaderboard for the terminal, fitted to its width: a line a distilled student, then what it all says.

    Args:
        table: as `leaderboard` makes it.
        level: coverage of its intervals.
        everything: shows every student, not only the first ten of each verdict.
        choice: which lines are wanted, and in which order.
    """
    return _Board(table, level, choice, groups(table, None if everything else MOST, choice))


@dataclass(frozen=True)
class _Board:
    """Waits for the console to say how wide it is."""

    table: Row
    level: float
    choice: Choice
    groups: list[Group]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        shown = [line for group in self.groups for line in group.lines]
        notes = footnotes(shown)
        yield _lines(self.groups, _columns(_scale(shown), notes, self.choice.sort), options.max_width)
        hidden = sum(group.hidden for group in self.groups)
        if hidden:
            yield Text(f"{hidden} more lines; `distill compare --json FILE` has them all.", style="dim")
        for note in notes:
            yield Text(note.text, style="dim")
        wanted, every = chosen(self.table, self.choice), lines(self.table)
        for text in (*_absent(wanted), "", *_part(len(wanted), len(every)), *sentences(self.table, self.level)):
            yield Text(text)


class _Column(NamedTuple):
    """One column of the table.

    Attributes:
        title: its head.
        cell: what stands in it.
        spare: which columns go first where the terminal is narrow: the highest; 0 stays.
        justify: to which side it is set.
    """

    title: str
    cell: Callable[[Line], str | Text]
    spare: int = 0
    justify: Literal["left", "right"] = "right"


def _lines(shown: list[Group], columns: list[_Column], width: int) -> Table:
    columns = _fitting(columns, [line for group in shown for line in group.lines], width)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.title, justify=column.justify, no_wrap=column is not columns[0], overflow="fold")
    for group in shown:
        for line in group.lines:
            table.add_row(*(column.cell(line) for column in columns))
        if group.hidden:
            table.add_row(Text(f"... {group.hidden} more", style="dim"))
    return table


def _columns(scale: float, notes: list[Footnote], sort: str | None) -> list[_Column]:
    """The columns of the table; what it is sorted by is among them."""
    return [
        _Column("vertical", lambda line: Text(line.name), justify="left"),
        _Column("train rows", lambda line: f"{line.row['rows_train']:,}", spare=5),
        _Column("test rows", lambda line: f"{line.row['rows_test']:,}", spare=3),
        _Column("teacher", lambda line: _number(line.row["ne_teacher"]), spare=2),
        _Column("control", lambda line: _number(line.row["ne_control"]), spare=1),
        _Column("student", lambda line: _number(line.row["ne"]), spare=1),
        _Column("gain", lambda line: _number(line.row["ne_gain"], "+")),
        _Column("interval", lambda line: _span(line.row), spare=4),
        _Column("- 0 +".center(CELLS), lambda line: bar(line.row, scale), justify="left"),
        _Column("gap", lambda line: _gap(line, notes)),
        *_asked(sort),
        _Column("verdict", _verdict, justify="left"),
    ]


def _asked(sort: str | None) -> list[_Column]:
    """The column that a table is sorted by, where no other shows it."""
    name = (sort or "").removeprefix("-")
    if not name or name in SHOWN:
        return []
    return [_Column(name, lambda line: _cell_of(line.row.get(name)))]


def _cell_of(value: Any) -> str:
    return _number(value) if isinstance(value, float) else NONE if value is None else str(value)


def _gap(line: Line, notes: list[Footnote]) -> str:
    """The share, and room for the sign of a footnote where there are any."""
    share = NONE if line.row["gap_closed"] is None else of_lead(line.row["gap_closed"])
    return share + (marked(line, notes) or " ") if notes else share


def _fitting(columns: list[_Column], found: list[Line], width: int) -> list[_Column]:
    """The columns that stand side by side on a terminal of this width."""
    sizes = {one.title: max([len(one.title), *(len(one.cell(line)) for line in found)]) for one in columns}
    while sum(sizes[one.title] + 2 for one in columns) - 2 > width and any(one.spare for one in columns):
        first = max(one.spare for one in columns)
        columns = [one for one in columns if one.spare < first]
    return columns


def bar(row: Row, scale: float) -> str:
    """An interval against 0, from `-scale` to `scale`; an arrow where it goes beyond.

    An interval that excludes 0 never touches the cell of 0.

    >>> bar({"ne_gain_low": 0.2, "ne_gain": 0.5, "ne_gain_high": 2.0}, scale=1.0)
    '        │ ──●───▸'
    """
    low, value, high = row["ne_gain_low"], row["ne_gain"], row["ne_gain_high"]
    zero = CELLS // 2
    cells = [" "] * zero + ["│"] + [" "] * zero
    if low is None:
        return "".join(cells)
    first, last = _cell(low, scale), _cell(high, scale)
    if low > 0:
        first = max(first, zero + 1)
        last = max(first, last)
    if high < 0:
        last = min(last, zero - 1)
        first = min(first, last)
    for cell in range(first, last + 1):
        cells[cell] = "┼" if cell == zero else "─"
    cells[min(max(_cell(value, scale), first), last)] = "●"
    cells[0] = "◂" if low < -scale else cells[0]
    cells[-1] = "▸" if high > scale else cells[-1]
    return "".join(cells)


def _cell(number: float, scale: float) -> int:
    share = min(max(number / scale, -1.0), 1.0)
    return round((share + 1) / 2 * (CELLS - 1))


def _scale(shown: list[Line]) -> float:
    """The reach of four in five of the intervals, so that a few wide ones do not flatten the others."""
    rows = [line.row for line in shown if line.row["ne_gain_low"] is not None]
    ends = (max(abs(row["ne_gain_low"]), abs(row["ne_gain_high"])) for row in rows)
    reach = sorted(end for end in ends if end)  # Who fell back on a control is exactly as good as it.
    return (reach[4 * (len(reach) - 1) // 5] if reach else 0.0) or 1.0


def _verdict(line: Line) -> Text:
    return Text(f"{SIGNS[line.word]} {line.word}", style=COLOURS[line.word])


def _number(value: float | None, sign: str = "") -> str:
    return NONE if value is None else f"{value:{sign}.4f}"


def _span(row: Row) -> str:
    if row["ne_gain_low"] is None:
        return NONE
    return f"{_number(row['ne_gain_low'], '+')} to {_number(row['ne_gain_high'], '+')}"


def _part(shown: int, of: int) -> list[str]:
    """That the summary is about all, where the table is not."""
    return [] if shown == of else [f"The table is of {shown} of {of} students; what follows is about all {of}."]


def _absent(wanted: list[Line]) -> list[str]:
    found = absent(wanted)
    more = [f"... and {len(found) - MOST} more without a gain"] if len(found) > MOST else []
    return ["", "Without a gain:", *found[:MOST], *more] if found else []
