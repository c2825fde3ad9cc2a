"""Making exports: weights, vocabulary and manifest of each student, proven equal before anything is left behind."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from distill.data.impressions import TRAIN, Impressions, View, load
from distill.data.vectors import beside
from distill.errors import Fault, RecipeError
from distill.export.caching import costs_of_caches, write_caches
from distill.export.finding import Found, Run, Wanted, found
from distill.export.formats import write
from distill.export.proving import TOLERANCE, cost_of_rounding, proven, read_alike
from distill.files import read_json, whole_folder, write_json
from distill.inputs import layers
from distill.progress import Progress
from distill.recipe import Recipe
from distill.recipe.sections import Model
from distill.serving.export import Export
from distill.serving.manifest import (
    CACHES,
    MANIFEST,
    REPORT,
    ROUNDED,
    VOCABULARY,
    WEIGHTS,
    Format,
    Lineage,
    Manifest,
    seal,
)
from distill.store import Store

Table = dict[str, Any]


def export(recipe: Recipe, wanted: Wanted, to: Path, kinds: Sequence[Format], progress: Progress) -> Table:
    """Exports students, each into a folder of its own below `to`; one that is named, into `to` itself.

    Nothing is there before all of them have been run again on their test rows and said what they said in evaluation.

    Args:
        recipe: one that has been run.
        wanted: which of its students.
        to: a folder that is not there yet.
        kinds: in which formats; the weights are always there.
        progress: told of each student.

    Returns:
        A row for each student: its folder, its bytes, the largest difference in each format, and the NE that eight bits
        cost.

    Raises:
        RecipeError: the recipe has not been run, has no such student, or `to` is there.
        ExportError: an export says something else than its student, or cannot be made.
    """
    if to.exists():
        raise RecipeError(Fault(str(to), "is there already.", "Name a new folder, or remove it."))
    torch.set_num_threads(1)
    run = found(recipe, wanted)
    kinds = list(dict.fromkeys(["safetensors", *kinds]))
    with whole_folder(to) as draft, progress.stage("export", len(run.students)) as bar:
        folders = [draft if wanted.vertical is not None else draft / _name(student) for student in run.students]
        reports = []
        for student, folder in zip(run.students, folders, strict=True):
            reports.append(_export(run, student, folder, kinds))
            bar.advance(1, student.member.vertical)
        read_alike(run, run.students, [Export(folder) for folder in folders])
        write_caches(run, folders)
        for student, folder, report in zip(run.students, folders, reports, strict=True):
            _finish(run, student, folder, report)
        rows = [_row(folder, to / folder.relative_to(draft)) for folder in folders]
    return {"recipe": recipe.name, "tolerance": TOLERANCE, "students": rows}


def _export(run: Run, student: Found, folder: Path, kinds: Sequence[Format]) -> Table:
    """Writes a student and runs it again; returns what its report says."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(run, student, folder)
    plain = Export(folder)
    rows = run.impressions.select(TRAIN, student.member.vertical)[:2]
    rows = rows if len(rows) == 2 else rows.repeat(2)  # torch takes one row for a constant
    example = plain.graph.inputs(student.view.take(torch.from_numpy(rows)).features)
    for kind in kinds:
        write(kind, plain.graph, example, folder)
    seal(folder, plain.manifest)
    differences = {kind: _compared(run, student, Export(folder, kind), kind) for kind in kinds}
    return {"split": "test", "rows": len(student.logit), "tolerance": TOLERANCE, "formats": differences}


def _compared(run: Run, student: Found, export: Export, kind: Format) -> Table:
    found = proven(run, student, export, kind)._asdict()
    return found | (cost_of_rounding(run, student, export, kind) if kind in ROUNDED else {})


def _write(run: Run, student: Found, folder: Path) -> None:
    lay_down(folder, run.recipe.students.model, run.impressions, student.view, student.lineage, student.weights)


def lay_down(
    folder: Path, model: Model, impressions: Impressions, view: View, lineage: Lineage, weights: dict[str, Tensor]
) -> None:
    """Writes weights, vocabulary and manifest of a student of the vertical that its lineage names."""
    preprocessing, words = impressions.preprocessing(view, lineage.vertical)
    for name, layer in layers(view).items():
        preprocessing = preprocessing.beside(name, layer.moments)
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, folder / WEIGHTS)
    (folder / VOCABULARY).write_text(json.dumps(words, ensure_ascii=False), encoding="utf-8")
    manifest = Manifest(
        model=model.path,
        config=model.config.model_dump(mode="json", by_alias=True),
        features=view.schema(lineage.vertical),
        correction=impressions.correction("students"),
        preprocessing=preprocessing,
        lineage=lineage,
    )
    seal(folder, manifest)


def _finish(run: Run, student: Found, folder: Path, report: Table) -> None:
    """Puts the report beside the rest, under the manifest's seal."""
    export = Export(folder)
    report |= {"features": "identical", "versions": {"torch": torch.__version__}}
    report |= costs_of_caches(run, student, export)
    write_json(folder / REPORT, report)
    seal(folder, export.manifest)


def _row(folder: Path, place: Path) -> Table:
    report, export = read_json(folder / REPORT), Export(folder)
    differences = {kind: found["probability"] for kind, found in report["formats"].items()}
    costs = {f"{kind} ne_cost": found["ne_cost"] for kind, found in report["formats"].items() if kind in ROUNDED}
    return {
        "member": export.manifest.lineage.member,
        "folder": str(place),
        "rows": report["rows"],
        "bytes": sum((folder / name).stat().st_size for name in (MANIFEST, *export.manifest.files)),
        **differences,
        **costs,
    }


def _name(student: Found) -> str:
    """A folder's name that leads nowhere else, whatever the vertical is called, and is like no other."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", student.member.vertical).strip("-")[:60]
    return f"{plain}-{student.member.fingerprint[:8]}".lstrip("-")


def examples(recipe: Recipe, folders: Sequence[Path]) -> list[Any]:
    """A raw row for each export, as a Polars frame of the columns that it reads.

    MLflow takes no null for a whole number, so what is null there is the value of the next row that has one. A vector
    of the teacher that no cache has is no column of the data either: the row then has the average user's.
    """
    impressions = load(recipe.data, Store(recipe.store).data)
    students = [Export(folder) for folder in folders]
    frames = []
    for student in students:
        rows = impressions.select(TRAIN, student.vertical)
        cuts = [cut for cut in impressions.source.cuts(1 << 17) if cut.start <= rows[0] < cut.start + cut.rows]
        columns = student.columns()
        (frame,) = impressions.source.read([column for column in columns if column not in CACHES], cuts)
        ours = rows[: np.searchsorted(rows, cuts[0].start + cuts[0].rows)] - cuts[0].start
        shown = frame[ours].fill_null(strategy="backward")[:1]
        for vector in [column for column in columns if column in CACHES]:
            mean = np.array([student.manifest.preprocessing.constants[vector]["mean"]])
            shown = beside(shown, vector, mean, np.array([True]))
        frames.append(shown)
    return frames
