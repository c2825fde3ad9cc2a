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

WORDS = {
    "better": "better than",
    "worse": "worse than",
    "undecided": "not shown to be better or worse than",
}


def side_by_side(found: Row) -> RenderableType:
    """A comparison (`comparison`) for the terminal."""
    runs, verticals = found["runs"], found["verticals"]
    parts: list[RenderableType] = [_results(runs), Text()]
    if found["settings"]:
        parts += [_table(found["settings"], "setting", "setting"), Text()]
    parts += [_table(verticals[:MOST], "vertical", "student's NE in")]
    if len(verticals) > MOST:
        parts.append(Text(f"... and {len(verticals) - MOST} verticals in which they differ less", style="dim"))
    said = [sentence for row in found["against"] for sentence in sentences_of(row, found["baseline"])]
    return Group(*parts, Text(), *map(Text, said))


def sentences_of(row: Row, baseline: str) -> list[str]:
    """What is known of one run against the baseline."""
    if "ne_better_by" not in row:
        return [f"{row['run']}: {row['reason']}."]
    claim = f"As a method, {row['run']} is {WORDS[row['verdict']]} {baseline}{_by(row, 'ne_better_by')}"
    seeds = f", from {row['seeds']} seed{'s' if row['seeds'] != 1 else ''}."
    times = _ratio(row, "times_baseline", f"Its gain is {{}} times that of {baseline}", "{:.2f}")
    ratio = _ratio(row, "transfer_ratio", "Of what its teacher gained, its students gained {}", "percent")
    return [claim + seeds, times, *([ratio] if row["transfer_ratio"] is not None else []), *_pays(row)]


def _pays(row: Row) -> list[str]:
    """When domain models pay, where the run has any that gain something."""
    count = row.get("students_to_pay")
    return [f"Its domain models pay from {count:,} student{'s' if count != 1 else ''} on."] if count else []


def _by(row: Row, name: str) -> str:
    if row[name] is None:
        return f": {row[f'{name}_reason']}"
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    span = f" ({low:+.4f} to {high:+.4f})" if low is not None else f" ({row[f'{name}_reason']})"
    return f" by {row[name]:+.4f} in NE{span}"


def _ratio(row: Row, name: str, words: str, form: str) -> str:
    """A ratio in a sentence; where it does not exist, why."""
    if row[name] is None:
        return f"{name} is undefined: {row[f'{name}_reason']}."
    show = percent if form == "percent" else form.format
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    span = row[f"{name}_reason"] if low is None else f"{show(low)} to {show(high)}"
    return f"{words.format(show(row[name]))} ({span})."


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
