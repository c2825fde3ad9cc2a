"""`distill sweep`, and how the other verbs show a sweep."""

from pathlib import Path
from typing import Annotated, Any

import typer

from distill.cli import arguments
from distill.cli.planned import planned
from distill.cli.tables import SHOWN, emit, first, parts, silence
from distill.errors import Fault, RecipeError, suggestion

Sweep = Annotated[Path, typer.Argument(metavar="SWEEP", help="A YAML file with base, and what varies.")]

POINT = {
    **{"ne_valid": "valid", "ne_teacher": "teacher", "ne_control": "control", "ne_student": "student"},
    **{"ne_gain": "gain", "ne_gain_low": "low", "ne_gain_high": "high", "gap_closed": "gap"},
    **{name: name for name in ("helped", "hurt", "unchanged", "undecided", "failed")},
}
"""What a terminal shows of a point, under a shorter name."""

TAKEN = ("ne_control", "ne_student", "auc_control", "auc_student", "parameters")
"""What it shows of the students of a point."""

BEST = ("vertical", "seed", "point", "point_control", "ne_control", "ne", "ne_gain", "verdict")


Engine = Annotated[str, typer.Option(metavar="local|ray", help="Who trains: processes of this machine, or Ray.")]
Retry = Annotated[bool, typer.Option("--retry-failed", help="Train again the students that failed.")]
Share = Annotated[
    str | None, typer.Option(metavar="K/N", help="Train a share of the cohorts, from 0/N, and no more than that.")
]
Slurm = Annotated[bool, typer.Option("--print-slurm", help="Print a script that runs this as an array of jobs.")]
Tasks = Annotated[int, typer.Option(min=1, help="Jobs of that array.")]


def sweep(
    sweep: Sweep,
    overrides: arguments.Overrides = None,
    json: arguments.Json = None,
    engine: Engine = "local",
    retry_failed: Retry = False,
    share: Share = None,
    print_slurm: Slurm = False,
    tasks: Tasks = 8,
) -> None:
    """Run every point of a sweep, from what is already done: one pool of students, one table."""
    from distill.progress import Progress

    progress = Progress()
    progress.note(f"sweep: {sweep}")
    from distill import sweep as sweeps
    from distill.sweep.running import run, train_share

    train = _engine(engine)
    with silence():
        loaded = sweeps.load(sweep, overrides or ())
    if print_slurm:
        print(sweeps.script(loaded.name, sweep, overrides or (), tasks), end="")
        return
    with silence():
        if share is not None:
            train_share(loaded, progress, *_share(share))
            return
        table = run(loaded, progress, train, retry=retry_failed)
    emit(table, json, shown)
    if table["failures"]:
        raise typer.Exit(1)


def _engine(name: str) -> Any:
    if name == "local":
        from distill.workers import train_here

        return train_here
    if name == "ray":
        from distill.sweep.cluster import train_on_ray

        return train_on_ray
    raise RecipeError(Fault("--engine", f'"{name}" is no engine.', suggestion(name, ["local", "ray"])))


def _share(text: str) -> tuple[int, int]:
    number, slash, of = text.partition("/")
    if not (slash and number.isdecimal() and of.isdecimal() and int(number) < int(of)):
        raise RecipeError(Fault("--share", f'"{text}" is no share.', "Write 0/8 for the first of eight."))
    return int(number), int(of)


def sync(recipe: arguments.Recipe, overrides: arguments.Overrides = None, json: arguments.Json = None) -> None:
    """Send the records of a recipe or sweep that wait on disk, since MLflow did not answer."""
    from distill import pipeline
    from distill import sweep as sweeps
    from distill.recipe import load
    from distill.tracking import open_tracker

    with silence():
        given = overrides or ()
        base = sweeps.load(recipe, given).base if sweeps.is_sweep(recipe) else load(recipe, given)
        with open_tracker(base.tracking.uri, pipeline.experiment(base), base.store) as tracker:
            delivery = tracker.close()
    emit({"sent": delivery.sent, "waiting": delivery.waiting, "error": delivery.error or None}, json)
    if delivery.waiting:
        raise typer.Exit(1)


def shown(table: dict[str, Any]) -> Any:
    """What a terminal has room for: the points, the first verticals, the summary of the chosen, and who failed."""
    from rich.console import Group

    best, summary = table["best"], table["summary"]
    brief = {
        "rungs": table["rungs"],
        "the best that was searched for against the best by chance": table.get("search"),
        "points": [
            {"point": point["point"], **{short: point[name] for name, short in POINT.items()}}
            for point in table["points"]
        ],
        "students": [
            {name: point.get(name) for name in ("point", *TAKEN)}
            | {"train_seconds": table["seconds"].get("train", {}).get(point["point"])}
            for point in table["points"]
        ],
        f"best by validation ({min(SHOWN, len(best))} of {len(best)})": [
            {name: line[name] for name in BEST} for line in best[:SHOWN]
        ],
        "the best students against the best controls": {
            name: summary[name] for name in ("ne_control", "ne_student", "ne_gain", "helped", "hurt", "undecided")
        },
        "failed": [_failed(line) for line in table["failures"]],
    }
    return Group(*parts(brief), *dict.fromkeys(line["remedy"] for line in table["failures"]))


def _failed(line: dict[str, Any]) -> dict[str, Any]:
    """A cause of failure; its remedy stands below, once for all."""
    shown = {name: value for name, value in line.items() if name != "remedy"}
    return shown | {name: first(line[name]) for name in ("points", "verticals")}


def plan(sweep: Path, overrides: list[str], json: str | None) -> None:
    """Says what a sweep would do."""
    from distill import sweep as sweeps
    from distill.sweep.planning import plan

    with silence():
        table = plan(sweeps.load(sweep, overrides))
    emit(table, json, planned)


def compare(sweep: Path, overrides: list[str], json: str | None, report: Path | None) -> None:
    """Shows the table of a sweep that has been run, and writes its report where one is asked for."""
    from distill import sweep as sweeps
    from distill.report import sweep_page

    with silence():
        table = sweeps.compare(sweeps.load(sweep, overrides))
    if report is not None:
        report.write_text(sweep_page(table), encoding="utf-8")
    emit(table, json, shown)
