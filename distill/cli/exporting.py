"""`distill export` and `distill score`: students that serve."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distill.cli import arguments
from distill.cli.tables import emit, silence
from distill.errors import Fault, RecipeError

if TYPE_CHECKING:
    from distill.export import Wanted
    from distill.recipe import Recipe

Formats = Annotated[
    list[str] | None,
    typer.Option("--format", help="safetensors, torch-export, onnx, int8-tables, int8, native; several may be named."),
]


def export(
    recipe: Annotated[str, typer.Argument(metavar="RUN|RECIPE", help="A YAML file, or the id of a run in MLflow.")],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="A folder that is not there yet.")],
    overrides: arguments.Overrides = None,
    vertical: Annotated[str | None, typer.Option(help="One student; without it all of them.")] = None,
    arm: Annotated[str | None, typer.Option(help="distilled or control; distilled where none is named.")] = None,
    seed: Annotated[int | None, typer.Option(help="Number of the seed; 0 where none is given.")] = None,
    formats: Formats = None,
    register: Annotated[str | None, typer.Option(metavar="NAME", help="Register in MLflow under this name.")] = None,
    json: arguments.Json = None,
) -> None:
    """Export students that have been trained, each proven to say what it said in evaluation."""
    from distill.export import Wanted, export
    from distill.progress import Progress

    kinds = _kinds(formats or [])
    if arm not in (None, "distilled", "control"):
        raise RecipeError(Fault("--arm", f'"{arm}" is no arm.', "Arms: distilled, control."))
    named = {"--vertical": vertical, "--arm": arm, "--seed": seed}
    with silence():
        given = [option for option, value in named.items() if value is not None]
        loaded, wanted = _asked(recipe, overrides or [], Wanted(vertical, arm or "distilled", seed or 0), given)
        runs = {} if register is None else _runs(loaded, wanted, register)
        table = export(loaded, wanted, to, kinds, Progress())
        if register is not None:
            with _all_or_nothing(to):
                _register(loaded, table, register, runs)
    emit(table, json)


def consolidate(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A checkpoint, or the table that is being written.")],
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="The safetensors file to write.")],
) -> None:
    """Put the weights of a teacher together that several processes are training, from its last checkpoint."""
    from distill.knowledge.group import consolidate

    with silence():
        numbers = consolidate(folder, to)
    print(f"{to}: {numbers:,} numbers")


def score(
    exported: Annotated[Path, typer.Argument(metavar="EXPORT", help="What `distill export` wrote.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A Parquet file of raw rows.")],
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="The Parquet file to write.")],
    kind: Annotated[str, typer.Option("--format", help="What runs the students.")] = "safetensors",
    json: arguments.Json = None,
) -> None:
    """Score raw rows with exported students, block by block."""
    from distill.progress import Progress
    from distill.serving import Exports
    from distill.serving.scoring import score

    (checked,) = _kinds([kind])
    progress = Progress()
    with silence():
        outcome = score(Exports(exported, checked), data, to, progress)
    seconds = progress.seconds["score"]
    table = outcome._asdict() | {"file": str(to), "rows_per_second": outcome.rows / max(seconds, 1e-9)}
    emit(table, json)


def _kinds(names: list[str]) -> list[Any]:
    from distill.errors import suggestion
    from distill.serving.manifest import MODELS

    faults = [
        Fault(f'"{name}"', "is no format.", suggestion(name, list(MODELS))) for name in names if name not in MODELS
    ]
    if faults:
        raise RecipeError(*faults)
    return names


def _asked(recipe: str, overrides: list[str], wanted: "Wanted", given: list[str]) -> "tuple[Recipe, Wanted]":
    """The recipe, and which of its students: those of a run, where a run is named.

    Args:
        recipe: a file, or the id of a run.
        overrides: settings to change.
        wanted: which students the options name.
        given: those options, which the run of one student leaves nothing to say.
    """
    from distill.recipe import load
    from distill.recipe.outcome import Tracking
    from distill.tracking.model import origin
    from distill.tracking.recorded import RUN_ID

    if not RUN_ID.fullmatch(recipe) or Path(recipe).exists():
        return load(Path(recipe), overrides), wanted
    uris = [text.partition("=")[2] for text in overrides if text.startswith("tracking.uri=")]
    found = origin(recipe, (uris or [Tracking().uri])[-1])
    if found.vertical is not None and given:
        which = f'It is that of "{found.vertical}", {found.arm}, seed {found.seed}: leave the option out.'
        raise RecipeError(*(Fault(option, "does not go with the run of one student.", which) for option in given))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipe.yaml"
        path.write_text(found.recipe)
        loaded = load(path, overrides)
    if found.vertical is None:
        return loaded, wanted
    return loaded, wanted._replace(vertical=found.vertical, arm=found.arm, seed=found.seed)


def _runs(recipe: "Recipe", wanted: "Wanted", name: str) -> dict[str, str]:
    """Member -> its run in MLflow; what keeps students from being registered is told before any is exported."""
    from distill.latest import compare
    from distill.tracking.model import require_ready

    if recipe.tracking.uri is None:
        what = "is null, and --register needs MLflow."
        raise RecipeError(Fault("tracking.uri", what, "Give tracking.uri=URI, where the recipe's runs are recorded."))
    rows = [row for row in compare(recipe)["students"] if (row["arm"], row["seed"]) == (wanted.arm, wanted.seed)]
    runs = {row["member"]: row["run_id"] for row in rows if wanted.vertical in (None, row["vertical"])}
    if not all(runs.values()):
        what = "the students were not recorded in MLflow when the recipe was run."
        raise RecipeError(Fault("--register", what, "Run the recipe again with tracking.uri=URI."))
    require_ready(name, list(runs.values()), recipe.tracking.uri)
    return runs


def _register(recipe: "Recipe", table: dict[str, Any], name: str, runs: dict[str, str]) -> None:
    """Registers the students that were exported; each has a name of its own where there are several."""
    from distill.export import examples
    from distill.tracking.model import register

    several = len(table["students"]) > 1
    shown = examples(recipe, [Path(row["folder"]) for row in table["students"]])
    for row, frame in zip(table["students"], shown, strict=True):
        own = f"{name}-{Path(row['folder']).name}" if several else name
        version = register(Path(row["folder"]), frame, own, recipe.tracking.uri, runs[row["member"]])
        row["registered"] = f"{own} version {version}"


@contextmanager
def _all_or_nothing(folder: Path) -> Iterator[None]:
    """Removes a folder where what is done with it fails, so that the same command can be given again."""
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
