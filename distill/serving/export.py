"""Export: one student as it is served, from raw columns to probabilities, with nothing of the store it came from."""

from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils._pytree import tree_map

from distill.data.preprocessing import Preprocessor
from distill.errors import DataError, ExportError, Fault, first_line
from distill.feed import CHUNK
from distill.serving.contents import caches, ranker, words
from distill.serving.engine import engine
from distill.serving.graph import Graph, Inputs, Said
from distill.serving.manifest import MANIFEST, MODELS, Format, checked, refusal
from distill.types import Features


class Export:
    """An exported student.

    Args:
        folder: where it lies.
        kind: what runs it; the module itself where nothing is said.

    Raises:
        ExportError: it is not as it was made, was not exported in this format, or needs a package that is missing.

    Example:
        student = Export(Path("exports/travel"))
        student.score(frame).probability
    """

    def __init__(self, folder: Path, kind: Format = "safetensors") -> None:
        self.folder, found = folder, checked(folder)
        self.manifest, self.size = found.manifest, found.size
        self.vertical, self.tasks = self.manifest.lineage.vertical, self.manifest.features.tasks
        if MODELS[kind] not in found.files:
            raise ExportError(Fault(str(folder), f"was not exported as {kind}.", f"Export it with --format {kind}."))
        try:
            self.preprocessor = Preprocessor(self.manifest.preprocessing, words(folder, found))
            self.caches = caches(folder, found)
        except (DataError, KeyError, ValueError, TypeError) as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else first_line(error)
            raise refusal(folder / MANIFEST, f"cannot be used: {what}") from None
        self.graph = Graph(ranker(folder, found), self.manifest.features, self.manifest.correction)
        self.run = engine(kind, self.graph, found.files[MODELS[kind]], folder / MODELS[kind])

    def score(self, frame: Any, name: str = "rows", numbers: NDArray[np.integer] | None = None) -> Said:
        """What the student says of raw rows.

        Args:
            frame: a Polars frame with the columns that `columns` names.
            name: how faults name where the rows come from.
            numbers: number of each of them there; from 0 where none are given.

        Raises:
            DataError: everything that is wrong with the rows, all at once.
        """
        return self.say(self.read(frame, name, numbers))

    def read(self, frame: Any, name: str = "rows", numbers: NDArray[np.integer] | None = None) -> Features:
        """What the student sees of raw rows; the arguments are those of `score`.

        A student that sees a vector of its teacher finds it in a column, or, without such a column, in its cache.
        """
        for vector, cache in self.caches.items():
            frame = frame if vector in frame.columns else cache.beside(frame, vector, name)
        return self.preprocessor.read(frame, name, numbers, self.vertical)

    def columns(self, there: Container[str] = ()) -> tuple[str, ...]:
        """The raw columns that it reads: the users of its cache in the place of vectors that are not `there`."""
        users = {vector: cache.column for vector, cache in self.caches.items() if vector not in there}
        return tuple(dict.fromkeys(users.get(column, column) for column in self.preprocessor.columns))

    @torch.no_grad()
    def say(self, features: Features) -> Said:
        """What the student says of features, in chunks that fit the processor's caches."""
        parts = [self.run(part) for part in chunks(self.graph.inputs(features))]
        return Said(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def chunks(inputs: Inputs) -> Iterator[Inputs]:
    """Some rows at a time; one chunk without rows where there are none."""
    rows = len(inputs.numeric)
    for first in range(0, max(rows, 1), CHUNK):
        yield _cut(inputs, slice(first, first + CHUNK)) if rows > CHUNK else inputs


def one_row(inputs: Inputs) -> Inputs:
    """The first row alone."""
    return _cut(inputs, slice(1))


def _cut(inputs: Inputs, rows: slice) -> Inputs:
    return Inputs(*tree_map(lambda tensor: tensor[rows], tuple(inputs)))
