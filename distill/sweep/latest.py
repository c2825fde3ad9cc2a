"""The latest table of a sweep, found by what decides how the sweep turns out."""

from pathlib import Path
from typing import Any

from distill.errors import Fault, RecipeError
from distill.files import read_json
from distill.fingerprint import fingerprint
from distill.latest import identity
from distill.store import Store
from distill.sweep.points import Sweep


def compare(sweep: Sweep) -> dict[str, Any]:
    """The table of a sweep that has been run.

    Raises:
        RecipeError: it has not, or it has changed since. Its data are not read again.
    """
    store = Store(sweep.base.store)
    path = place(sweep, store)
    if not path.exists():
        what = f"has not been run with these settings in {store.root}."
        raise RecipeError(Fault(sweep.name, what, "Run it first: distill sweep."))
    return read_json(path)


def place(sweep: Sweep, store: Store) -> Path:
    """Where its table lies in a store."""
    said = [[identity(recipe) for recipe in point.recipes] for point in sweep.points]
    patterns = [[pattern for pattern, _ in point.verticals] for point in sweep.points]
    asked = [sweep.search._replace(point=None)] if sweep.search else []
    return store.latest / f"{fingerprint('sweep', sweep.name, said, patterns, sweep.halving, *asked)}.json"
