"""`distill sweep`, and how the other verbs show a sweep."""

from pathlib import Path
from typing import Annotated, Any

import typer

from distill.cli import arguments
from distill.cli.tables import emit, parts, silence

SHOWN = 20
"""Lines of a list that a terminal shows."""

Sweep = Annotated[Path, typer.Argument(metavar="SWEEP", help="A YAML file with base, and what varies.")]

POINT = {
    **{"ne_valid": "valid", "ne_teacher": "teacher", "ne_control": "control", "ne_student": "student"},
    **{"ne_gain": "gain", "ne_gain_low": "low", "ne_gain_high": "high", "gap_closed": "gap"},
    **{name: name for name in ("helped", "hurt", "unchanged", "undecided", "failed")},
}
"""What a terminal shows of a point, under a shorter name."""

BEST = ("vertical", "seed", "point", "point_control", "ne_control", "ne", "ne_gain", "verdict")


def sweep(sweep: Sweep, overrides: arguments.Overrides = None, json: arguments.Json = None) -> None:
    """Run every point of a sweep, from what is already done: one pool of students, one table."""
    from distill.progress import Progress

    progress = Progress()
    progress.note(f"sweep: {sweep}")
    from distill import sweep as sweeps

    with silence():
        table = sweeps.run(sweeps.load(sweep, overrides or ()), progress)
    emit(table, json, shown)
    if table["failures"]:
        raise typer.Exit(1)


def shown(table: dict[str, Any]) -> Any:
    """What a terminal has room for: the points, the first verticals, the summary of the chosen, and who failed."""
    from rich.console import Group

    best, summary = table["best"], table["summary"]
    brief = {
        "points": [
            {"point": point["point"], **{short: point[name] for name, short in POINT.items()}}
            for point in table["points"]
        ],
        f"best by validation ({min(SHOWN, len(best))} of {len(best)})": [
            {name: line[name] for name in BEST} for line in best[:SHOWN]
        ],
        "the best students against the best controls": {
            name: summary[name] for name in ("ne_control", "ne_student", "ne_gain", "helped", "hurt", "undecided")
        },
        "failed": [line | {"verticals": ", ".join(line["verticals"][:SHOWN])} for line in table["failures"]],
    }
    return Group(*parts(brief))


def plan(sweep: Path, overrides: list[str], json: str | None) -> None:
    """Says what a sweep would do."""
    from distill import sweep as sweeps

    with silence():
        table = sweeps.plan(sweeps.load(sweep, overrides))
    emit(table, json, _planned)


def compare(sweep: Path, overrides: list[str], json: str | None) -> None:
    """Shows the table of a sweep that has been run."""
    from distill import sweep as sweeps

    with silence():
        table = sweeps.compare(sweeps.load(sweep, overrides))
    emit(table, json, shown)


def _planned(table: dict[str, Any]) -> Any:
    from rich.console import Group

    points, cohorts = table["points"], table["cohorts"]
    brief = table | {"points": len(points), "cohorts": cohorts[:SHOWN]}
    more = len(cohorts) - SHOWN
    return Group(*parts(brief), *([f"... and {more} more cohorts"] if more > 0 else []))
