"""Comparing: finds the runs that a user names, by recipe or by fingerprint."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from distill.errors import Fault, RecipeError
from distill.files import read_json
from distill.latest import compare
from distill.recipe import Recipe, load
from distill.recipe.outcome import Tracking
from distill.store import Store
from distill.tracking.recorded import RUN_ID, leaderboard, recorded

Table = dict[str, Any]


def tables(named: Sequence[str], overrides: Sequence[str]) -> tuple[Recipe, dict[str, Table]]:
    """The first recipe, and the leaderboard of every run that is named.

    Args:
        named: recipes, beginnings of fingerprints of leaderboards in the first recipe's store, or ids of runs where it
            records. The first is a recipe, or the id of a run whose recipe MLflow has.
        overrides: `key=value`, for every recipe.

    Raises:
        RecipeError: some have not been run, or mean nothing; all are named.
    """
    first = _first(named[0], overrides)
    found, faults = {}, []
    for name in named:
        try:
            file = Path(name)
            table = compare(load(file, overrides), name) if file.exists() else _run(name, first)
            found[_free(file.stem if file.exists() else table["recipe"], table["fingerprint"], found)] = table
        except RecipeError as error:
            faults += error.faults
    if faults:
        raise RecipeError(*faults)
    return first, found


def runs(store: Path) -> list[Table]:
    """Every leaderboard of a store, the latest first."""
    paths = sorted(Store(store).latest.glob("*.json"), key=lambda path: -path.stat().st_mtime)
    return [read_json(path) for path in paths]


def _first(name: str, overrides: Sequence[str]) -> Recipe:
    """The recipe that is named, or that of a run in MLflow."""
    if Path(name).exists() or not RUN_ID.fullmatch(name):
        return load(Path(name), overrides)
    uris = [text.partition("=")[2] for text in overrides if text.startswith("tracking.uri=")]
    text, _ = recorded(name, (uris or [Tracking().uri])[-1], "recipe.yaml")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "recipe.yaml"
        path.write_text(text, encoding="utf-8")
        return load(path, overrides)


def _run(name: str, first: Recipe) -> Table:
    """The leaderboard of a run that is named by its id in MLflow, or by the beginning of a fingerprint."""
    if RUN_ID.fullmatch(name) and first.tracking.uri is not None:
        return leaderboard(name, first.tracking.uri)
    store = first.store
    every = runs(store)
    matching = {table["fingerprint"]: table for table in every if table["fingerprint"].startswith(name)}
    if len(matching) != 1:
        known = ", ".join(f"{table['fingerprint']} ({table['recipe']})" for table in every[:10])
        what = "is neither a file nor the fingerprint of a run" if not matching else "begins several fingerprints"
        raise RecipeError(Fault(name, f"{what} in {store}.", f"There are: {known}." if known else "There are none."))
    return next(iter(matching.values()))


def _free(recipe: str, fingerprint: str, taken: dict[str, Table]) -> str:
    """The recipe's name; with a piece of the fingerprint where another run has that name."""
    return recipe if recipe not in taken else f"{recipe} {fingerprint[:6]}"
