"""The latest leaderboard of a recipe, found by what decides how the recipe turns out.

It needs neither the data nor Lightning, so that looking at what is done takes no longer than it must.
"""

from pathlib import Path
from typing import Any

from distill.errors import Fault, RecipeError
from distill.files import read_json
from distill.fingerprint import fingerprint
from distill.recipe import Recipe
from distill.store import Store

ELSEWHERE = {"data": {"path"}, "gates": True, "tracking": True, "store": True, "workers": True, "trainer": True}
"""Where things lie and who works on them: what does not decide how a recipe turns out, short of copies of tables."""

Table = dict[str, Any]
"""A leaderboard, as `distill compare --json` writes it."""


def compare(recipe: Recipe, named: str = "") -> Table:
    """The leaderboard of a recipe that has been run.

    Args:
        recipe: which.
        named: what the user calls it; by default its own name.

    Raises:
        RecipeError: it has not, or its settings have changed since. Its data are not read again.
    """
    store = Store(recipe.store)
    path = place(recipe, store)
    if not path.exists():
        what = f"has not been run with these settings in {store.root}."
        raise RecipeError(Fault(named or recipe.name, what, "Run it first: distill run."))
    return read_json(path)


def place(recipe: Recipe, store: Store) -> Path:
    """Where its leaderboard lies in a store."""
    return store.latest / f"{fingerprint(identity(recipe))}.json"


def identity(recipe: Recipe) -> Table:
    """What decides how a recipe turns out: not where its data lie, nor where its results go."""
    return recipe.model_dump(mode="json", by_alias=True, exclude=ELSEWHERE) | recipe.trainer.copies
