"""Several runs side by side on a terminal: results, what changed in settings, and what that says of the methods."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from distill.report.lines import Row
from distill.report.sentences import percent

MOST = 12
"""Verticals that are shown: those in which the runs differ most."""

NAMED = 6
"""Verticals that a sentence names."""

TURNS = {
    "failed": lambda row: row["is"] == "failed",
    "became hurt": lambda row: row["is"] == "hurt",
    "no longer hurt": lambda row: row["was"] == "hurt",
    "became helped": lambda row: row["is"] == "helped",
    "no longer helped": lambda row: row["was"] == "helped",
}
"""What may become of verdicts from one run to another, the gravest first; each is told once."""


def side_by_side(found: Row) -> RenderableType:
    """A comparison (`comparison`) for the terminal."""
    runs, verticals = found["runs"], found["verticals"]
    parts: list[RenderableType] = [_results(runs), Text()]
    if found["settings"]:
        parts += [_table(found["settings"], "setting", "setting"), Text()]
    parts += [_table(verticals[:MOST], "vertical", "student's NE in")]
    if len(verticals) > MOST:
        parts.append(Text(f"... and {len(verticals) - MOST} verticals in which they differ less", style="dim"))
    said = [sentence for row in found["against"] for sentence in sentences_of(row, found)]
    return Group(*parts, Text(), *map(Text, said))


def sentences_of(row: Row, found: Row) -> list[str]:
    """What is known of one run against the baseline.

    Args:
        row: one of `against` in the comparison.
        found: the comparison.
    """
    run, baseline = row["run"], found["baseline"]
    turned = _turned([one for one in found["verdicts"] if one["run"] == run], run, baseline)
    if row.get("ne_better_by") is None:
        why = row.get("ne_better_by_reason") or row["reason"]
        return [f"{run} and {baseline} cannot be compared as methods: {why}.", *turned]
    times = _ratio(row, "times_baseline", f"Its gain over its controls is {{}} times that of {baseline}", "{:.2f}")
    taught = _ratio(
        row, "transfer_ratio", "Of what its teacher gained over the other, its students gained {}", "percent"
    )
    return [_difference(row, baseline), _claim(row), *times, *taught, *_pays(row), *turned]


def _difference(row: Row, baseline: str) -> str:
    value = row["ne_better_by"]
    return f"NE of {row['run']} is {abs(value):.4f} {'lower' if value >= 0 else 'higher'} than that of {baseline}."


def _claim(row: Row) -> str:
    """What that says of the method."""
    if row["ne_better_by_low"] is None:
        return f"Whether it is the better method is not known: {row['ne_better_by_reason']}."
    word = "not shown to be better or worse" if row["verdict"] == "undecided" else row["verdict"]
    span = f"{row['ne_better_by_low']:+.4f} to {row['ne_better_by_high']:+.4f}, from {row['seeds']} seeds"
    return f"As a method it is {word} ({span})."


def _turned(rows: Sequence[Row], run: str, baseline: str) -> list[str]:
    """Which students have another verdict, and how it changed."""
    if not rows:
        return [f"No vertical has another verdict in {run} than in {baseline}."]
    said, told = [], set()
    for turn, holds in TURNS.items():
        names = [row["student"] for row in rows if holds(row) and row["student"] not in told]
        told |= set(names)
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        said += [f"In {run} {turn}: {', '.join(names[:NAMED])}{more}."] if names else []
    return said


def _pays(row: Row) -> list[str]:
    """When domain models pay, where the run has any that gain something."""
    count = row.get("students_to_pay")
    return [f"Its domain models pay from {count:,} student{'s' if count != 1 else ''} on."] if count else []


def _ratio(row: Row, name: str, words: str, form: str) -> list[str]:
    """A ratio in a sentence; where it does not exist, why."""
    if row[name] is None:
        return [f"{name} is undefined: {row[f'{name}_reason']}."]
    show = percent if form == "percent" else form.format
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    span = f"no interval: {row[f'{name}_reason']}" if low is None else f"{show(low)} to {show(high)}"
    return [f"{words.format(show(row[name]))} ({span})."]


def _results(runs: Sequence[Row]) -> Table:
    """A column a run: what a reader compares stands side by side."""
    shown = _begun("", [row["run"] for row in runs])
    for name in runs[0]:
        if name != "run":
            shown.add_row(name, *(_cell(row[name]) for row in runs))
    return shown


def _table(rows: Sequence[Row], first: str, title: str) -> Table:
    shown = _begun(title, [name for name in rows[0] if name != first] if rows else [])
    for row in rows:
        shown.add_row(*(_cell(value) for value in row.values()))
    return shown


def _begun(first: str, runs: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first)
    for run in runs:
        table.add_column(run, justify="right")
    return table


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
