"""Arguments and options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer


def writable(to: str | Path | None) -> str | Path | None:
    """Refuses a file in a folder that is not there, before a run rather than after it."""
    if to and str(to) != "-" and not Path(to).absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {Path(to).parent}")
    return to


Recipe = Annotated[Path, typer.Argument(metavar="RECIPE", help="A YAML file.", show_default=False)]

PerhapsRecipe = Annotated[
    Path | None, typer.Argument(metavar="RECIPE", help="A YAML file; without it the defaults hold.")
]

Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Settings to change, such as students.train.epochs=3."),
]

Json = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write the table as JSON; - for standard output.", callback=writable),
]
