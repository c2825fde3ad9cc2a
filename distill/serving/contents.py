"""Contents: what the files of an export hold, each found to be what its manifest says of the student."""

import json
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from distill.data.preprocessing import Words
from distill.data.vectors import UserVectors
from distill.errors import ExportError, RecipeError, first_line
from distill.ranker import Ranker, resolve
from distill.serving.manifest import CACHES, MANIFEST, VOCABULARY, WEIGHTS, Checked, refusal, wrong_setting

ODD = "has more or fewer values than ids"


def words(folder: Path, found: Checked) -> Words:
    """The values of each table that has any.

    Raises:
        ExportError: a table is missing, is none of the student's, or has more or fewer values than ids.
    """
    place, said = folder / VOCABULARY, _read(folder, found, VOCABULARY)
    if not isinstance(said, dict) or not all(isinstance(values, list) for values in said.values()):
        raise refusal(place, "is not a list of values for each table")
    needed, heights = found.manifest.preprocessing.tables, found.manifest.features.tables
    lost, strange = [name for name in needed if name not in said], [name for name in said if name not in needed]
    odd = [name for name in needed if name in said and heights.get(name) != len(said[name]) + 1]
    for names, what in ((lost, "lacks tables"), (strange, "has tables that the student does not read"), (odd, ODD)):
        if names:
            raise refusal(place, f"{what}: {', '.join(names)}")
    return said


def caches(folder: Path, found: Checked) -> dict[str, UserVectors]:
    """Name of each vector of the teacher -> those of users, where they were exported.

    Raises:
        ExportError: users and vectors are not those of one cache, as wide as the student takes them.
    """
    files = {vector: names for vector, names in CACHES.items() if names[0] in found.files}
    return {vector: _cache(folder, found, vector, *names) for vector, names in files.items()}


def _cache(folder: Path, found: Checked, vector: str, users: str, vectors: str) -> UserVectors:
    said, held = _read(folder, found, users), _tensors(folder, found, vectors)
    kinds = {"column": str, "kind": str, "users": list}
    if not isinstance(said, dict) or not all(isinstance(said.get(key), kind) for key, kind in kinds.items()):
        raise refusal(folder / users, "does not name users and their column")
    known, width = held.get("vectors", torch.empty(0)), (found.manifest.features.vectors or {}).get(vector)
    if known.shape != (len(said["users"]), width):
        raise refusal(folder / vectors, "has not one vector for each user, as wide as the student takes them")
    if not known.isfinite().all():
        raise refusal(folder / vectors, "holds numbers that are not finite")
    return UserVectors(said["column"], said["kind"], said["users"], known.float().numpy())


def ranker(folder: Path, found: Checked) -> Ranker:
    """The ranker that a manifest describes, with its weights.

    Raises:
        ExportError: there is no such ranker in the packages that may be named, or the weights are not those of one.
    """
    manifest = found.manifest
    try:
        kind = resolve(manifest.model)
        made = kind(manifest.features, kind.Config.model_validate(manifest.config))
    except ValidationError as error:
        raise refusal(folder / MANIFEST, f"config: {wrong_setting(error)}") from None
    except RecipeError as error:
        raise ExportError(error.faults[0]._replace(where=str(folder / MANIFEST))) from None
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise refusal(folder / MANIFEST, f"describes no {manifest.model}: {first_line(error)}") from None
    held, meant = _tensors(folder, found, WEIGHTS), made.state_dict()
    wrong = _other(held, meant)
    if wrong is not None:
        raise refusal(folder / WEIGHTS, f"holds other weights than those of this {type(made).__name__}: {wrong}")
    made.load_state_dict(held)
    return made.eval()


def _other(held: dict[str, Tensor], meant: dict[str, Tensor]) -> str | None:
    """The first thing in which weights are not those of a ranker."""
    for name, tensor in meant.items():
        if name not in held:
            return f"{name} is missing"
        if held[name].shape != tensor.shape:
            return f"{name} is {_size(held[name])} in place of {_size(tensor)}"
        if held[name].dtype != tensor.dtype:
            return f"{name} is {_kind(held[name])} in place of {_kind(tensor)}"
        if not held[name].isfinite().all():
            return f"{name} has numbers that are not finite"
    return next((f"{name} is none of them" for name in held if name not in meant), None)


def _size(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "one number"


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _read(folder: Path, found: Checked, name: str) -> Any:
    try:
        return json.loads(found.files[name])
    except (ValueError, RecursionError):
        raise refusal(folder / name, "cannot be read as JSON") from None


def _tensors(folder: Path, found: Checked, name: str) -> dict[str, Tensor]:
    try:
        return load(found.files[name])
    except (SafetensorError, KeyError, ValueError):  # the last two: a kind of number that torch does not have
        raise refusal(folder / name, "cannot be read as safetensors") from None
