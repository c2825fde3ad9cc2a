"""`distill data`: look at impressions, encode them, or make some up."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distill.cli import arguments
from distill.cli.tables import emit, parts, silence
from distill.errors import Fault, RecipeError, suggestion
from distill.files import refuse_parquet

if TYPE_CHECKING:
    from distill.data.impressions import Impressions
    from distill.data.world import World
    from distill.recipe import Recipe

app = typer.Typer(help="Look at impressions, encode them, or generate some.", no_args_is_help=True)

UNCHECKED = "As its publisher states it, not checked here: the terms that came with the files count."

Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page with plots.")]


@app.command()
def describe(
    recipe: arguments.Recipe,
    overrides: arguments.Overrides = None,
    json: arguments.Json = None,
    html: Html = None,
) -> None:
    """Print rows, verticals with their rates, columns and warnings of the impressions of a recipe."""
    from distill.data import describing, page

    with silence():
        loaded, impressions = _impressions(recipe, overrides)
        table = describing.describe(impressions)
    if html is not None:
        html.write_text(page.page(table, loaded.name), encoding="utf-8")
    emit(table, json, _shown)


@app.command()
def convert(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE|FOLDER", help="A recipe, or a public set as published.")],
    overrides: arguments.Overrides = None,
    public: Annotated[str | None, typer.Option("--set", metavar="NAME", help="Public set in FOLDER.")] = None,
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Parquet file for a public set.")] = None,
    json: arguments.Json = None,
) -> None:
    """Encode the impressions of a recipe, or turn a public set into Parquet; what was stopped goes on."""
    if public is not None:
        emit(_published(public, recipe, to or Path(f"{public}.parquet")), json, _beside_its_section)
        return
    with silence():
        loaded, impressions = _impressions(recipe, overrides)
        for features, scope in _views(loaded):
            impressions.view(features, scope)
        folder = impressions.folder
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        size += sum(path.stat().st_size for shard in impressions.shards for path in shard.folder.iterdir())
    table = {
        "rows": impressions.rows,
        "verticals": len(impressions.verticals),
        "fingerprint": impressions.fingerprint,
        "blocks": len(impressions.shards),
        "bytes": size,
        "folder": str(folder),
        "warnings": impressions.warnings,
    }
    emit(table, json)


@app.command()
def synth(
    to: Annotated[Path, typer.Argument(metavar="FILE", help="A Parquet file to write.")],
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Settings of the world, such as rows=1000000.")
    ] = None,
    json: arguments.Json = None,
) -> None:
    """Generate impressions whose true click probabilities are known, of any size, day by day."""
    from distill.data import synthetic
    from distill.progress import Progress

    world = _world(settings or [])
    refuse_parquet(to)
    with silence(), Progress().stage("synth", world.rows) as bar:
        synthetic.write_to(world, to, bar)
    said = {"file": str(to), "rows": world.rows, "bytes": to.stat().st_size, "world": world.model_dump()}
    emit(said | {"data": world.data | {"path": str(to)}, "warnings": []}, json, _beside_its_section)


def _published(name: str, folder: Path, to: Path) -> dict[str, Any]:
    """Converts a public set; says who may use it, and the `data:` section that fits it."""
    from distill.data.public.listing import SETS

    if name not in SETS:
        raise RecipeError(Fault(name, "is no public set that we know.", suggestion(name, list(SETS))))
    one = SETS[name]
    with silence():
        rows = one.convert(folder, to)
    said = {
        "licence": f"{one.licence} {UNCHECKED}",
        "citation": one.citation,
        "split": one.split,
        "published": one.published,
    }
    part = one.rows is not None and rows != one.rows
    warnings = [f"{rows:,} rows, where {one.rows:,} are published: a part?"] if part else []
    return {"file": str(to), "rows": rows} | said | {"data": one.data | {"path": str(to)}, "warnings": warnings}


def _beside_its_section(table: dict[str, Any]) -> Any:
    """What is said of a file that was written, and under it the section as a recipe wants it."""
    from rich.console import Group

    from distill.recipe.showing import written

    said = {name: value for name, value in table.items() if name not in ("data", "warnings")}
    warnings = [f"warning: {warning}" for warning in table["warnings"]]
    return Group(*parts(said), *warnings, "", written({"data": table["data"]}))


def _world(settings: list[str]) -> "World":
    """The world that KEY=VALUE settings describe; all that is wrong with them is told at once."""
    from pydantic import ValidationError

    from distill.data.world import World

    pairs = [setting.partition("=") for setting in settings]
    faults = [Fault(f'"{key}"', "is no setting.", "Write KEY=VALUE.") for key, sign, _ in pairs if not sign]
    known = list(World.model_fields)
    faults += [
        Fault(key, "does not exist.", suggestion(key, known)) for key, sign, _ in pairs if sign and key not in known
    ]
    if faults:
        raise RecipeError(*faults)
    try:
        return World.model_validate({key: value for key, _, value in pairs})
    except ValidationError as error:
        told = [
            (".".join(map(str, entry["loc"])), entry["msg"].removeprefix("Value error, ")) for entry in error.errors()
        ]
        raise RecipeError(*(Fault(where, what) for where, what in told)) from None


def _impressions(recipe: Path, overrides: list[str] | None) -> "tuple[Recipe, Impressions]":
    from distill.data.impressions import load
    from distill.progress import Progress
    from distill.recipe import load as load_recipe
    from distill.store import Store

    loaded = load_recipe(recipe, overrides or ())
    return loaded, load(loaded.data, Store(loaded.store).data, Progress())


def _views(recipe: "Recipe") -> list[tuple[Any, Any]]:
    """What the rankers of a recipe see."""
    teachers = [(one.features, "all") for one in recipe.every_teacher.values() if hasattr(one, "features")]
    return [*teachers, (recipe.students.features, "vertical")]


def _shown(table: dict[str, Any]) -> Any:
    """What a terminal has room for."""
    from rich.console import Group

    verticals, columns = table["verticals"], table["columns"]
    brief = {
        "rows": table["rows"],
        "splits": table["splits"],
        "changes": table["changes"],
        f"verticals ({min(20, len(verticals))} of {len(verticals)})": verticals[:20],
        "columns": [{key: value for key, value in entry.items() if key != "histogram"} for entry in columns],
    }
    warnings = [f"warning: {warning}" for warning in table["warnings"]]
    return Group(*parts(brief), *warnings)
