"""`distill teachers`: the teachers of a sweep side by side, without any student."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distill.cli import arguments
from distill.cli.tables import emit, parts, silence

if TYPE_CHECKING:
    from distill.sweep import Sweep

Contest = Annotated[Path, typer.Argument(metavar="SWEEP|RECIPE", help="A YAML file; of a recipe its one teacher.")]
Seeds = Annotated[int, typer.Option(min=1, help="Teachers of each point, which differ in their seed.")]
Trees = Annotated[bool, typer.Option("--trees", help="Gradient-boosted trees on the same features, for comparison.")]

SHOWN = {
    **{"teacher": "teacher", "task": "task", "ne_valid": "valid", "ne": "ne", "auc": "auc"},
    **{"ne_mean": "ne mean", "auc_mean": "auc mean", "seconds": "seconds", "dense": "dense", "sparse": "sparse"},
}
"""What a terminal shows of a teacher, under a shorter name; gains and their intervals stand behind it."""


def teachers(
    sweep: Contest,
    overrides: arguments.Overrides = None,
    json: arguments.Json = None,
    seeds: Seeds = 1,
    trees: Trees = False,
) -> None:
    """Train the teachers of a sweep, judge each on rows that it has not seen, and compare them with the first."""
    from distill.progress import Progress

    progress = Progress()
    progress.note(f"teachers: {sweep}")
    from distill import contest

    with silence():
        table = contest.run(_load(sweep, overrides or []), progress, seeds, trees=trees)
    emit(table, json, _shown)


def _load(path: Path, overrides: list[str]) -> "Sweep":
    from distill import sweep as sweeps
    from distill.recipe import load

    if sweeps.is_sweep(path):
        return sweeps.load(path, overrides)
    recipe = load(path, overrides)
    return sweeps.Sweep(recipe.name, [sweeps.Point(recipe.name, {}, recipe)])


def _shown(table: dict[str, Any]) -> Any:
    from rich.console import Group

    several = len({line["task"] for line in table["teachers"]}) > 1
    best = f"best by validation rows: {table['best']['teacher']} ({', '.join(table['best']['tables'])})"
    return Group(*parts({table["contest"]: [_line(line, several) for line in table["teachers"]]}), best)


def _line(line: dict[str, Any], several: bool) -> dict[str, Any]:
    told = {short: line[name] for name, short in SHOWN.items() if several or name != "task"}
    told |= {"seeds": _reach(line["ne_low"], line["ne_high"])} if line["ne_low"] != line["ne_high"] else {}
    return told | {"gain": _gain(line, "ne_gain"), "mean gain": _gain(line, "ne_mean_gain")}


def _reach(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.4f} to {high:.4f}"


def _gain(line: dict[str, Any], name: str) -> str:
    """A gain over the first teacher, with its interval; nothing for the first."""
    value, low, high = (line[f"{name}{end}"] for end in ("", "_low", "_high"))
    if value is None:
        return ""
    return f"{value:+.4f}" if low is None or high is None else f"{value:+.4f} [{low:+.4f}, {high:+.4f}]"
