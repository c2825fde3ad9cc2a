"""`distill diagnose`: what the teacher of a recipe leans on, and which verticals pull it apart."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distill.cli import arguments
from distill.cli.tables import emit, parts, silence

if TYPE_CHECKING:
    from rich.console import RenderableType

Verticals = Annotated[int, typer.Option(min=2, help="Verticals that are compared: those with most validation rows.")]
Rows = Annotated[int, typer.Option(min=1, help="Most validation rows that are looked at.")]
Report = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the figures as one HTML page.", callback=arguments.writable),
]


def diagnose(
    recipe: arguments.Recipe,
    overrides: arguments.Overrides = None,
    json: arguments.Json = None,
    verticals: Verticals = 8,
    rows: Rows = 20_000,
    report: Report = None,
) -> None:
    """Look into the teacher of a recipe: gradients between verticals, features, steps of histories."""
    from distill.progress import Progress

    progress = Progress()
    progress.note(f"diagnosis: {recipe}")
    from distill import diagnosis
    from distill.diagnosis.drawing import page
    from distill.recipe import load

    with silence():
        found = diagnosis.run(load(recipe, overrides or ()), progress, verticals, rows)
    if report is not None:
        report.write_text(page(found), encoding="utf-8")
    emit(found, json, _shown)


def _shown(found: dict[str, Any]) -> "RenderableType":
    from rich.console import Group

    names = found["verticals"]
    gradients = [
        {"vertical": name, **dict(zip(names, row, strict=True))}
        for name, row in zip(names, found["correlation"].get("all", []), strict=False)
    ]
    features = [
        {"feature": name, **{scope: worth[name] for scope, worth in found["importance"].items()}}
        for name in sorted(found["importance"]["all"], key=found["importance"]["all"].__getitem__, reverse=True)
    ]
    return Group(*parts({"gradients": gradients, "importance": features, **found["importance_by_age"]}))
