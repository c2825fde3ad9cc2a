"""Shipping: students as they are served are put to the gates, and those that pass get the registry's alias."""

import re
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from distill.errors import Fault, RecipeError
from distill.export import Wanted, examples, export
from distill.fingerprint import fingerprint
from distill.progress import Progress
from distill.recipe import Recipe
from distill.report import Refusal, passed, refusals
from distill.serving import Export

CALLS = 300
"""Calls of which a latency is the median; a tenth as many come before them and are not counted."""

Table = Mapping[str, Any]


class Shipment(NamedTuple):
    """What came of the gates.

    Attributes:
        refused: everything that keeps students back.
        registered: member -> name and version in the model registry, of those that have the alias now.
    """

    refused: list[Refusal]
    registered: dict[str, str]


def ship(recipe: Recipe, table: Table, progress: Progress) -> Shipment:
    """Puts the students of a run to the gates of its recipe.

    Students are exported, and proven to say what they said in evaluation, only where a gate is about serving or an
    alias is named. Of several seeds the first is the one that serves.

    Args:
        recipe: one that has been run.
        table: its leaderboard.
        progress: told of each export.

    Raises:
        RecipeError: an alias is named, and the students are not recorded in MLflow.
        ExportError: a student cannot be exported as it was judged.
    """
    gates = recipe.gates
    if gates.latency is None and gates.size is None and gates.alias is None:
        return Shipment(refusals(table, gates), {})
    if gates.alias is not None:
        _require_runs(recipe, table)
    with tempfile.TemporaryDirectory() as name:
        made = export(recipe, Wanted(), Path(name) / "students", [], progress)["students"]
        folders = {row["member"]: Path(row["folder"]) for row in made}
        rows = dict(zip(folders, examples(recipe, list(folders.values())), strict=True))
        served = _measured(folders, rows)
        known = {**table, "students": [row | served.get(row["vertical"], {}) for row in table["students"]]}
        return Shipment(refusals(known, gates), _promoted(recipe, known, folders, rows))


def model_name(recipe: str, vertical: str) -> str:
    """Under which name the students of a vertical are registered: the same for every run of a recipe.

    >>> model_name("news", "sport"), model_name("news", "sport/local")[:-4]
    ('news.sport', 'news.sport-local-')
    """
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", vertical).strip("-")
    return f"{recipe}.{plain}" if plain == vertical else f"{recipe}.{plain}-{fingerprint(vertical)[:4]}"


def _measured(folders: Mapping[str, Path], rows: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Vertical -> what its student takes in service; seeds differ in their weights alone."""
    found = {}
    for member, folder in folders.items():
        student = Export(folder)
        found[student.vertical] = {"latency": latency(student, rows[member]), "size": student.size}
    return found


def latency(student: Export, row: Any) -> float:
    """Median microseconds from the features of one impression to its probability, on one thread.

    Args:
        student: whom to ask, as a module of this package.
        row: its raw columns, as a Polars frame of one row.
    """
    features = student.read(row)
    times = []
    for _ in range(CALLS + CALLS // 10):
        begun = time.perf_counter()
        student.say(features)
        times.append(time.perf_counter() - begun)
    return 1e6 * statistics.median(times[CALLS // 10 :])


def _promoted(recipe: Recipe, table: Table, folders: Mapping[str, Path], rows: Mapping[str, Any]) -> dict[str, str]:
    """Registers those that pass, and gives them the alias; that of the others stays where it is."""
    alias, uri = recipe.gates.alias, recipe.tracking.uri
    if alias is None or uri is None:
        return {}
    from distill.tracking.model import promote

    runs = {row["member"]: row["run_id"] for row in table["students"]}
    verticals = {row["member"]: row["vertical"] for row in table["students"]}
    found = {}
    for member in [member for member in passed(table, recipe.gates) if member in folders]:
        name = model_name(recipe.name, verticals[member])
        version = promote(folders[member], rows[member], name, alias, uri, runs[member])
        found[member] = f"{name} version {version}"
    return found


def _require_runs(recipe: Recipe, table: Table) -> None:
    if recipe.tracking.uri is None or not all(row["run_id"] for row in table["students"]):
        what = "an alias is for students that are recorded in MLflow, and these are not."
        raise RecipeError(Fault("gates.alias", what, "Set tracking.uri, and run the recipe again."))
