"""Folders of arrays, sealed by a manifest that knows the size of every file, so that damage shows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import DTypeLike

from distill.errors import Fault, StoreError
from distill.files import read_json, reserve, write_json

MANIFEST = "manifest.json"


def create(path: Path, dtype: DTypeLike, *shape: int) -> np.memmap:
    """A new `.npy` file of zeros, mapped into memory to be written; its room on the disk is taken at once."""
    array = np.lib.format.open_memmap(path, "w+", dtype, shape)
    reserve(path)
    return array


def opened(path: Path) -> np.ndarray:
    """An array mapped into memory; nothing is read before it is used, and writing to it leaves the file alone."""
    return np.load(path, mmap_mode="c")


def write_values(path: Path, values: pl.Series) -> None:
    """Writes a column of any type.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        values.to_frame("value").write_ipc(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StoreError(Fault(str(path), f"cannot be written: {str(error).splitlines()[0]}.")) from None


def read_values(path: Path) -> pl.Series:
    """What `write_values` wrote."""
    return pl.read_ipc(path).to_series()


def seal(folder: Path, manifest: dict[str, Any]) -> None:
    """Writes the manifest of a folder that is complete."""
    sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    write_json(folder / MANIFEST, manifest | {"sizes": sizes})


def unsealed(folder: Path) -> dict[str, Any] | None:
    """The manifest of a folder, or None where the folder is missing, unfinished or damaged."""
    try:
        manifest = read_json(folder / MANIFEST)
        whole = all((folder / name).stat().st_size == size for name, size in manifest["sizes"].items())
    except (OSError, json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        return None
    return manifest if whole else None
