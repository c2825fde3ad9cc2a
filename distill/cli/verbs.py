"""The verbs that take a recipe."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from distill.cli import arguments, sweeps
from distill.cli.planned import planned
from distill.cli.tables import emit, silence
from distill.errors import Fault, RecipeError

if TYPE_CHECKING:
    from distill.recipe import Recipe


def run(recipe: arguments.Recipe, overrides: arguments.Overrides = None, json: arguments.Json = None) -> None:
    """Run the stages of a recipe, from what is already done, and print the leaderboard."""
    from distill.progress import Progress

    progress = Progress()
    progress.note(f"recipe: {recipe}")  # Torch and Lightning take seconds to import; nobody should wonder meanwhile.
    from distill import pipeline
    from distill.ranks import follow, follows
    from distill.recipe import warnings
    from distill.report import render

    with silence():
        loaded = _load(recipe, overrides)
        if follows(loaded):
            follow(loaded)
            return
        for warning in warnings(loaded):
            progress.note(f"warning: {warning}")
        table = pipeline.run(loaded, progress)
    emit(table, json, lambda table: render(table, loaded.evidence.level))
    if table["summary"]["failed"]:
        raise typer.Exit(1)


def plan(
    recipe: arguments.Recipe,
    overrides: arguments.Overrides = None,
    json: arguments.Json = None,
    devices: Annotated[
        int | None, typer.Option(min=1, help="Say instead what its teacher, in each size, takes on so many devices.")
    ] = None,
    device: Annotated[str, typer.Option(help="Which ones: a100, h100, h200 or b200.")] = "h100",
    parameters: Annotated[
        float | None, typer.Option(min=1, help="As if the tables held so many; by default, those of the data.")
    ] = None,
    impressions: Annotated[float, typer.Option(min=1, help="Of one day.")] = 1e10,
) -> None:
    """Say what a run or a sweep would do and what of it is done; train nothing for good.

    Of a sweep, a dozen steps of one cohort of each shape that was never trained here are timed and forgotten.
    """
    from distill import pipeline
    from distill.sweep import is_sweep

    if is_sweep(recipe):
        sweeps.plan(recipe, overrides or [], json)
        return

    with silence():
        loaded = _load(recipe, overrides)
        if devices is None:
            table, render = pipeline.plan(loaded), planned
        else:
            from distill.rack import Rack, rack_plan

            table, render = rack_plan(loaded, Rack(devices, device, parameters, impressions)), None
    emit(table, json, render)


def validate(recipe: arguments.Recipe, overrides: arguments.Overrides = None) -> None:
    """Find everything that can be wrong with a recipe before any data are read."""
    from distill.recipe import warnings

    loaded = _load(recipe, overrides)
    for warning in warnings(loaded):
        print(f"warning: {warning}", file=sys.stderr)
    print(f"valid: {_summary(loaded)}")


def show(
    recipe: arguments.PerhapsRecipe = None,
    overrides: arguments.Overrides = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of recipes, for editors.")] = False,
) -> None:
    """Print a recipe with every default filled in."""
    if schema:
        from distill import recipe as recipes

        emit(recipes.schema(), "-")
        return
    if recipe is None:
        raise typer.BadParameter("give a recipe, or --schema", param_hint="RECIPE")
    from distill.recipe import show as shown

    print(shown(_load(recipe, overrides)), end="")


def ui(
    recipe: arguments.PerhapsRecipe = None,
    overrides: arguments.Overrides = None,
    port: Annotated[int, typer.Option(help="Port on this machine.")] = 5000,
) -> None:
    """Open MLflow's UI on the recorded students; only this machine can reach it."""
    from distill.recipe.outcome import Tracking
    from distill.tracking import serve

    uri = (_load(recipe, overrides).tracking if recipe else Tracking()).uri
    if uri is None:
        raise RecipeError(Fault("tracking.uri", "is null: this recipe records nothing.", "Give an address."))
    serve(uri, port)


def _load(recipe: Path, overrides: list[str] | None) -> "Recipe":
    from distill.recipe import load

    return load(recipe, overrides or ())


def _summary(recipe: "Recipe") -> str:
    """One line: who teaches whom, with how many features."""
    every, teacher, students = recipe.data.features, recipe.teacher, recipe.students
    model = getattr(teacher, "model", None)
    name = f"{model.path} ({_count(teacher.features or every)})" if model else f"{teacher.knowledge.name}"
    more = sum(getattr(one, "seeds", 1) for one in recipe.every_teacher.values()) - 1
    name += f" with {more} more" if more else ""
    return f"{recipe.name}, {name} teaches {students.model.path} ({_count(students.features or every)})"


def _count(features: object) -> str:
    return f"{len(features)} feature{'s' if len(features) != 1 else ''}"
