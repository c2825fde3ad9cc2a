"""Exports: the students of a folder, each for the rows of its vertical."""

import hashlib
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill.errors import ExportError, Fault
from distill.files import absent
from distill.serving.export import Export
from distill.serving.graph import Said
from distill.serving.manifest import MANIFEST, Format

Weights = dict[tuple[torch.dtype, torch.Size, bytes], Tensor]
"""Tensors by what they hold: type, shape, and hash of their bytes."""


class Exports:
    """One exported student, or all that lie in one folder. Weights that several have in common are in memory once.

    Args:
        folder: of a student, or of the folders of several, each of a vertical of its own.
        kind: what runs them.

    Raises:
        ExportError: there is none, one is not as it was made, or two are for one vertical.
    """

    def __init__(self, folder: Path, kind: Format = "safetensors") -> None:
        self.students: dict[str, Export] = {}
        weights: Weights = {}
        for place in _folders(folder):
            student = Export(place, kind)
            if student.vertical in self.students:
                what = f'holds two students of "{student.vertical}".'
                raise ExportError(Fault(str(folder), what, "Keep exports of several arms or seeds apart."))
            _share(student, weights)
            self.students[student.vertical] = student
        first = next(iter(self.students.values()))
        self.settings, self.tasks = first.manifest.preprocessing.data, first.tasks

    def columns(self, there: Container[str] = ()) -> tuple[str, ...]:
        """The raw columns that any of them reads, where those of a table are `there`."""
        return tuple(dict.fromkeys(name for one in self.students.values() for name in one.columns(there)))

    def score(self, frame: Any, verticals: Any, name: str = "rows", first: int = 0) -> Said:
        """What the students say of raw rows: NaN of those whose vertical has no student.

        Args:
            frame: a Polars frame of raw columns.
            verticals: the vertical of each row, as text; None where all rows are for the only student.
            name: how faults name where the rows come from.
            first: number of the first of them there.

        Returns:
            Log-odds and probabilities as arrays, `[rows, tasks]`.

        Raises:
            DataError: everything that is wrong with the rows of one student.
        """
        if verticals is None:
            (only,) = self.students.values()
            return Said(*(tensor.numpy() for tensor in only.score(frame, name, first + np.arange(len(frame)))))
        said = np.full((2, len(frame), len(self.tasks)), np.nan, dtype=np.float32)
        for vertical, rows in _by_name(verticals).items():
            if vertical in self.students:
                part = frame if len(rows) == len(frame) else frame[rows]
                found = self.students[vertical].score(part, name, first + rows)
                said[0, rows], said[1, rows] = found.logit.numpy(), found.probability.numpy()
        return Said(*said)


def _share(student: Export, weights: Weights) -> None:
    """Puts tensors that are there already, bit for bit, in the place of a student's own."""
    for tensor in (*student.graph.parameters(), *student.graph.buffers()):
        digest = hashlib.sha256(tensor.contiguous().view(-1).view(torch.uint8).numpy()).digest()
        tensor.data = weights.setdefault((tensor.dtype, tensor.shape, digest), tensor.data)


def _folders(folder: Path) -> list[Path]:
    if (folder / MANIFEST).exists():
        return [folder]
    if not folder.exists():
        raise ExportError(absent(folder, "`distill export` makes one."))
    found = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
    if not found:
        raise ExportError(Fault(str(folder), "holds no exported student.", "`distill export` makes one."))
    return found


def _by_name(verticals: Any) -> Mapping[str | None, np.ndarray]:
    """The rows of each vertical, in their order."""
    groups = verticals.to_frame("vertical").with_row_index("row").group_by("vertical", maintain_order=True).agg("row")
    return dict(zip(groups["vertical"].to_list(), (rows.to_numpy() for rows in groups["row"]), strict=True))
