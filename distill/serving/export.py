"""Export: one student as it is served, from raw columns to probabilities, with nothing of the store it came from."""

import json
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor
from torch.utils._pytree import tree_map

from distill.data.preprocessing import Preprocessor, Words
from distill.data.vectors import UserVectors
from distill.errors import DistillError, ExportError, Fault
from distill.feed import CHUNK
from distill.ranker import Ranker, resolve
from distill.serving.engine import engine
from distill.serving.graph import Graph, Inputs, Said
from distill.serving.manifest import (
    CACHES,
    MANIFEST,
    MODELS,
    VOCABULARY,
    WEIGHTS,
    Checked,
    Format,
    Manifest,
    checked,
)
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
            self.preprocessor = Preprocessor(self.manifest.preprocessing, _words(found))
            self.caches = _caches(found)
            ranker = built(self.manifest, found.files[WEIGHTS])
        except (DistillError, KeyError, ValueError, TypeError, RuntimeError) as error:
            raise ExportError(Fault(str(folder / MANIFEST), f"cannot be used: {_reason(error)}")) from None
        self.graph = Graph(ranker, self.manifest.features, self.manifest.correction)
        self.run = engine(kind, self.graph, found.files[MODELS[kind]])

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


def built(manifest: Manifest, weights: bytes) -> Ranker:
    """The ranker that a manifest describes, with its weights.

    Raises:
        ExportError: the weights are not those of such a ranker.
        RecipeError: there is no such ranker in the packages that may be named.
    """
    kind = resolve(manifest.model)
    ranker = kind(manifest.features, kind.Config.model_validate(manifest.config))
    try:
        found: dict[str, Tensor] = load(weights)
        ranker.load_state_dict(found)
    except (SafetensorError, RuntimeError) as error:
        raise ExportError(Fault(WEIGHTS, f"holds other weights: {str(error).splitlines()[0]}.")) from None
    return ranker.eval()


def _words(found: Checked) -> Words:
    words = json.loads(found.files[VOCABULARY])
    heights = found.manifest.features.tables
    odd = [table for table, values in words.items() if heights.get(table) != len(values) + 1]
    if odd:
        raise ExportError(Fault(VOCABULARY, f"has more or fewer values than ids: {', '.join(odd)}."))
    return words


def _caches(found: Checked) -> dict[str, UserVectors]:
    """Name of each vector of the teacher -> those of users, where they were exported."""
    files = {vector: names for vector, names in CACHES.items() if names[0] in found.files}
    return {vector: _cache(found, vector, *names) for vector, names in files.items()}


def _cache(found: Checked, vector: str, users: str, vectors: str) -> UserVectors:
    said, known = json.loads(found.files[users]), load(found.files[vectors])["vectors"]
    width = (found.manifest.features.vectors or {}).get(vector)
    if known.shape != (len(said["users"]), width):
        raise ExportError(Fault(vectors, "has not one vector for each user, as wide as the student takes them."))
    return UserVectors(said["column"], said["kind"], said["users"], known.float().numpy())


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return f"config: {error.errors()[0]['msg']}."
    return f"{error} is missing." if isinstance(error, KeyError) else str(error).splitlines()[0]
