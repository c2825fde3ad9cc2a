"""`distill recipes`: the recipes that come with the package."""

import os
import re
from pathlib import Path
from typing import Annotated

import typer

import distill
from distill.cli import arguments
from distill.cli.tables import emit
from distill.errors import Fault, RecipeError, suggestion

app = typer.Typer(help="List the shipped recipes, or copy one.", no_args_is_help=True)

REFERENCES = (("extends",), ("base",), ("data", "path"), ("teacher", "knowledge"))
"""Keys whose value is a path relative to the recipe."""


def folder() -> Path:
    """Where they are: in the installed package, or at the top of a checkout."""
    package = Path(distill.__file__).resolve().parent
    packed = package / "recipe" / "shipped"
    return packed if packed.is_dir() else package.parent / "recipes"


def recipes() -> dict[str, Path]:
    """Name -> file."""
    files = sorted(folder().rglob("*.yaml"))
    return {str(file.relative_to(folder()).with_suffix("")): file for file in files}


@app.command()
def ls(json: arguments.Json = None) -> None:
    """List the shipped recipes."""
    emit({"recipes": [{"name": name, **_opening(file)} for name, file in recipes().items()]}, json)


@app.command()
def cp(
    name: Annotated[str, typer.Argument(help="Name of a shipped recipe.")],
    to: Annotated[Path, typer.Argument(help="A file or folder; nothing is overwritten.")] = Path("."),
) -> None:
    """Copy a shipped recipe, to change it."""
    source = recipes().get(name.removesuffix(".yaml"))
    if source is None:
        raise RecipeError(Fault(name, "there is no such recipe.", suggestion(name, list(recipes()))))
    target = to / source.name if to.is_dir() else to
    if target.exists():
        raise RecipeError(Fault(str(target), "is already there.", "Give another name."))
    if not target.absolute().parent.is_dir():
        raise RecipeError(Fault(str(target), f"there is no folder {target.parent}."))
    target.write_text(_moved(source), encoding="utf-8")
    verb = "sweep" if source.parent.name == "sweeps" else "run"
    print(f"{target} is yours to change; run it with: distill {verb} {target}")


def _opening(file: Path) -> dict[str, str]:
    """What a recipe's first comment says: how to run it, what it needs, what it gives."""
    said: dict[str, str] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        labelled = re.match(r"# (\w+): +(.*)", line)
        if labelled:
            said[labelled[1].lower()] = labelled[2]
        elif line.startswith("#") and said:
            said[list(said)[-1]] += f" {line.lstrip('# ')}"
        else:
            break
    return {key: said[key] for key in ("run", "gives") if key in said}


def _moved(source: Path) -> str:
    """The text of a recipe, with whole paths in the place of those that hold only where it stands."""
    from distill.recipe.reading import read
    from distill.recipe.tree import Report, Source

    text = source.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    tree = read(text, Source(0, str(source), source.parent), Report())
    for path in REFERENCES:
        node = tree.at(path)
        if node and isinstance(node.value, str):
            line = node.place.line - 1
            key, colon, rest = lines[line][node.place.column - 1 :].partition(":")
            whole = os.path.normpath(source.parent / node.value)
            lines[line] = lines[line][: node.place.column - 1] + key + colon + rest.replace(node.value, whole, 1)
    return "".join(lines)
