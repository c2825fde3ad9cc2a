"""Which students a table shows, in which order, and under which name."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from distill.columns import SIGNS

Row = Mapping[str, Any]


class Line(NamedTuple):
    """A distilled student under the name that tells it from the others."""

    name: str
    row: Row

    @property
    def word(self) -> str:
        """Its verdict, or `failed`."""
        return self.row["verdict"] or "failed"


class Choice(NamedTuple):
    """Which lines a reader wants, and in which order.

    Attributes:
        search: part of the vertical's name.
        verdict: the one to show; every one where None.
        sort: column of the leaderboard, greatest first; a minus before it turns that round. By verdict where None.
    """

    search: str = ""
    verdict: str | None = None
    sort: str | None = None


class Group(NamedTuple):
    """The students of one verdict, as far as they are shown."""

    word: str
    lines: list[Line]
    hidden: int


def lines(table: Row) -> list[Line]:
    """The distilled students of a leaderboard, in its order.

    Where a vertical has several, behind its name stands what tells them apart: task, seed, settings.
    """
    rows = [row for row in table["students"] if row["arm"] == "distilled"]
    marks = [{"task": row["task"], "seed": row["seed"], **row["settings"]} for row in rows]
    names = [row["vertical"] for row in rows]
    for mark in dict.fromkeys(name for found in marks for name in found):
        if len(set(names)) < len(names) and len({str(found.get(mark)) for found in marks}) > 1:
            names = [f"{name} {mark}={found.get(mark)}" for name, found in zip(names, marks, strict=True)]
    return [Line(name, row) for name, row in zip(names, rows, strict=True)]


def groups(table: Row, most: int | None, choice: Choice = Choice()) -> list[Group]:  # noqa: B008
    """The lines by verdict: the greatest change first, among the undecided the most test rows.

    Args:
        table: a leaderboard.
        most: lines of a group to show; None for all.
        choice: which lines; where it sorts them, they are one group.
    """
    wanted = chosen(table, choice)
    if choice.sort is not None:
        return [Group("", _sorted(wanted, choice.sort), 0)]
    found: dict[str, list[Line]] = {word: [] for word in SIGNS}
    for line in wanted:
        found[line.word].append(line)
    ordered = {word: sorted(members, key=_rank) for word, members in found.items() if members}
    return [Group(word, members[:most], len(members[most:]) if most else 0) for word, members in ordered.items()]


def chosen(table: Row, choice: Choice) -> list[Line]:
    """The lines that a choice leaves, in the order of the leaderboard."""
    named = [line for line in lines(table) if choice.search.lower() in line.name.lower()]
    return [line for line in named if choice.verdict in (None, line.word)]


def _sorted(found: list[Line], sort: str) -> list[Line]:
    """By one column, its greatest value first; what lacks it comes last."""
    column, down = sort.removeprefix("-"), not sort.startswith("-")
    there = [line for line in found if line.row.get(column) is not None]
    lacking = [line for line in found if line.row.get(column) is None]
    return sorted(there, key=lambda line: line.row[column], reverse=down) + lacking


def absent(found: Sequence[Line]) -> list[str]:
    """Name and reason of every student without a gain; those that failed first, then those with the most test rows."""
    missing = [line for line in found if line.row["ne_gain"] is None]
    missing.sort(key=lambda line: (line.word != "failed", -line.row["rows_test"], line.name))
    return [f"{line.name}: {line.row['reason']}" for line in missing]


def _rank(line: Line) -> tuple[float, str]:
    size = line.row["rows_test"] if line.word in ("undecided", "failed") else abs(line.row["ne_gain"])
    return -float(size), line.name
