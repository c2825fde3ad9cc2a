"""`distill compare`: the leaderboard of a run, its report and its gates; or several runs side by side."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distill.cli import arguments, sweeps
from distill.cli.tables import emit, silence
from distill.columns import COLUMNS, SIGNS
from distill.errors import Fault, RecipeError, suggestion
from distill.printable import printable

if TYPE_CHECKING:
    from distill.recipe import Recipe
    from distill.report import Choice, Refusal

Named = Annotated[
    list[str],
    typer.Argument(metavar="RECIPE [RECIPE|RUN|KEY=VALUE ...]", help="Recipes; fingerprints of runs; settings."),
]
Report = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE", help="Write the report, one HTML page.", callback=arguments.writable),
]
Gate = Annotated[bool, typer.Option("--gate", help="Exit 1, with a list, if the recipe's gates keep students back.")]
Baseline = Annotated[
    str | None, typer.Option("--baseline", metavar="RUN", help="Which of several runs the others are compared with.")
]
Sort = Annotated[str | None, typer.Option(metavar="COLUMN", help="Greatest first; -COLUMN for least first.")]
Verdict = Annotated[str | None, typer.Option(help="Only helped, hurt, unchanged, undecided or failed students.")]
Search = Annotated[str, typer.Option(metavar="TEXT", help="Only verticals whose name holds this.")]


def compare(
    named: Named,
    json: arguments.Json = None,
    report: Report = None,
    gate: Gate = False,
    baseline: Baseline = None,
    sort: Sort = None,
    verdict: Verdict = None,
    search: Search = "",
) -> None:
    """Print the leaderboard of a recipe that has been run, or what changed between several runs."""
    runs, overrides = _named(named)
    chosen = {"--sort": sort, "--verdict": verdict, "--search": search}
    _check(sort, verdict)
    _refuse(*(({"--baseline": baseline}, "one run") if len(runs) == 1 else (chosen, "several runs")))
    from distill.report import Choice
    from distill.sweep import is_sweep

    if is_sweep(Path(runs[0])):
        _refuse({"--gate": gate, **chosen}, "a sweep")
        sweeps.compare(Path(runs[0]), [*runs[1:], *overrides], json, report)
        return
    from distill.comparing import tables as found

    with silence():
        recipe, tables = found(runs, overrides)
    first, plain = next(iter(tables.values())), _known(baseline or next(iter(tables)), list(tables))
    refused = _gated(first, recipe) if gate else _refusals(first, recipe) if report else []
    if report is not None:
        others = dict(list(tables.items())[1:])
        report.write_text(_page(first, recipe, named, refused, others), encoding="utf-8")
    if len(tables) > 1:
        _print_several(tables, plain, recipe.evidence.level, json)
    else:
        _print_one(first, recipe, Choice(search, verdict, sort), json)
    if gate:
        _gate(refused)


def _named(named: list[str]) -> tuple[list[str], list[str]]:
    """Runs and settings: a setting is whatever has an equals sign and is no file."""
    overrides = [name for name in named if "=" in name and not Path(name).exists()]
    runs = [name for name in named if name not in overrides]
    if not runs:
        raise typer.BadParameter("name a recipe", param_hint="RECIPE")
    return runs, overrides


def _check(sort: str | None, verdict: str | None) -> None:
    """Refuses what means nothing, before anything is imported that takes seconds."""
    faults = []
    if sort is not None and (column := sort.removeprefix("-")) not in COLUMNS:
        faults.append(Fault(f"--sort {sort}", "is no column.", suggestion(column, COLUMNS, len(COLUMNS))))
    if verdict is not None and verdict not in SIGNS:
        faults.append(Fault(f"--verdict {verdict}", "is no verdict.", suggestion(verdict, list(SIGNS))))
    if faults:
        raise RecipeError(*faults)


def _refuse(given: Mapping[str, Any], what: str) -> None:
    """Refuses what does not go with what is compared, rather than leave it out in silence."""
    faults = [Fault(name, f"does not go with {what}.", "Leave it out.") for name, value in given.items() if value]
    if faults:
        raise RecipeError(*faults)


def _known(name: str, names: list[str]) -> str:
    if name not in names:
        raise RecipeError(Fault(f"--baseline {name}", "is none of these runs.", suggestion(name, names)))
    return name


def _refusals(table: dict[str, Any], recipe: "Recipe") -> list[str]:
    from distill.report import refusals

    return _sentences(refusals(table, recipe.gates))


def _gated(table: dict[str, Any], recipe: "Recipe") -> list[str]:
    """The same with students as they are served; those that pass are registered, which the table then says."""
    from distill.progress import Progress
    from distill.shipping import ship

    with silence():
        shipment = ship(recipe, table, Progress())
    refused = _sentences(shipment.refused)
    table["gates"] = {"refused": refused, "registered": shipment.registered}
    for member, version in shipment.registered.items():
        print(printable(f"gate: {member} passes and is {recipe.gates.alias}: {version}"), file=sys.stderr)
    return refused


def _sentences(refused: "list[Refusal]") -> list[str]:
    return [f"{one.member or 'the run'} ({one.gate}): {one.reason}" for one in refused]


def _page(table: dict[str, Any], recipe: "Recipe", named: list[str], refused: list[str], others: dict[str, Any]) -> str:
    from distill.recipe import show
    from distill.recipe.outcome import Gates
    from distill.report import Facts, page

    asked = None if recipe.gates == Gates() else refused
    words = " ".join(name for name in named if name == named[0] or "=" in name)
    commands = [f"distill run {words}", f"distill compare {' '.join(named)} --report report.html"]
    return page(table, Facts(show(recipe), commands, recipe.evidence.level, asked, others))


def _print_several(tables: dict[str, Any], baseline: str, level: float, json: str | None) -> None:
    from distill.report import comparison, side_by_side

    emit(comparison(tables, baseline, level), json, side_by_side)


def _print_one(table: dict[str, Any], recipe: "Recipe", choice: "Choice", json: str | None) -> None:
    from distill import report

    asked = any(choice)
    emit(table, json, lambda table: report.render(table, recipe.evidence.level, asked, choice))


def _gate(refused: list[str]) -> None:
    """Says on standard error what keeps students back, and ends with 1."""
    for reason in refused:
        print(printable(f"gate: {reason}"), file=sys.stderr)
    if refused:
        raise typer.Exit(1)
    print("gate: every student passes", file=sys.stderr)
