"""Folders of arrays, sealed by a manifest that knows the size and the checksum of every file, so that damage shows."""

import json
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import polars as pl
from numpy.typing import DTypeLike, NDArray

from distill.errors import Fault, StoreError
from distill.files import read_json, reserve, write_json

MANIFEST = "manifest.json"

VERIFIED = "verified.json"
"""The state that each file of a folder had when it was found whole."""

SETTLED = 2.0
"""Seconds for which files must have lain still before their state may stand for their content: times are coarse."""

CHUNK = 1 << 22
"""Bytes that are read at once to be summed."""


class Rows:
    """A `.npy` file that is written block by block, in order; its room on the disk is taken at once.

    Ordinary writing rather than a memory map: pages of a map would count as memory of the process.
    """

    def __init__(self, file: BinaryIO, dtype: DTypeLike) -> None:
        self._file, self._dtype = file, np.dtype(dtype)

    def add(self, block: NDArray) -> None:
        """Writes the next rows."""
        self._file.write(np.ascontiguousarray(block, dtype=self._dtype).data)


@contextmanager
def rows(path: Path, dtype: DTypeLike, *shape: int) -> Iterator[Rows]:
    """Opens a new `.npy` file of this shape; all of it must have been written when the block ends."""
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    with open(path, "wb", buffering=1 << 20) as file:
        np.lib.format.write_array_header_1_0(file, header)
        start = file.tell()
        file.truncate(start + int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize)
        reserve(path)
        yield Rows(file, dtype)
        assert file.tell() == file.seek(0, 2), f"{path} was not filled"


def opened(path: Path) -> np.ndarray:
    """An array mapped into memory; nothing is read before it is used, and writing to it leaves the file alone."""
    return np.load(path, mmap_mode="c")


def read_rows(path: Path, block: slice) -> NDArray:
    """Some rows of an array, read and not mapped, so that none of it stays in memory behind them."""
    with open(path, "rb") as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        width = int(np.prod(shape[1:], dtype=np.int64))
        file.seek(block.start * width * dtype.itemsize, 1)
        count = min(block.stop, shape[0]) - block.start
        return np.fromfile(file, dtype, count * width).reshape(count, *shape[1:])


def write_frame(path: Path, frame: pl.DataFrame) -> None:
    """Writes columns of any type.

    Raises:
        StoreError: they cannot be written.
    """
    try:
        frame.write_ipc(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StoreError(Fault(str(path), f"cannot be written: {str(error).splitlines()[0]}.")) from None


def read_frame(path: Path, columns: list[str] | None = None) -> pl.DataFrame:
    """What `write_frame` wrote, or some of its columns."""
    return pl.read_ipc(path, columns=columns)


def seal(folder: Path, manifest: dict[str, Any]) -> None:
    """Writes the manifest of a folder that is complete."""
    files = {path.name: [path.stat().st_size, checksum(path)] for path in sorted(folder.iterdir())}
    content = json.loads(json.dumps(manifest | {"files": files}))
    write_json(folder / MANIFEST, content | {"checked": _own(content)})


def unsealed(folder: Path, every_byte: bool = False) -> dict[str, Any] | None:
    """The manifest of a folder, or None where the folder is missing, unfinished or damaged.

    Every byte is looked at once. From then on a file is trusted as long as its size, its times and its place on the
    disk stay what they were. The time of change is among them, which moves with every write and which no program can
    set: a file that was rewritten is found out even where its size and its time of modification were put back. What
    this does not see is a disk that loses bits by itself.

    Args:
        folder: the folder.
        every_byte: whether to look at every byte again.
    """
    try:
        manifest = read_json(folder / MANIFEST)
        sums = {name: checked for name, (_, checked) in manifest["files"].items()}
        states = {name: _state(folder / name) for name in sums}
        sized = all(states[name][0] == size for name, (size, _) in manifest["files"].items())
        known = {} if every_byte else _verified(folder)
        unsure = [name for name in sums if known.get(name) != states[name]]
        whole = sized and all(checksum(folder / name) == sums[name] for name in unsure)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if not whole or manifest.get("checked") != _own(manifest):
        return None
    if unsure and time.time() - max(state[2] for state in states.values()) / 1e9 > SETTLED:
        with suppress(OSError, StoreError):  # A store that cannot be written is verified each time.
            write_json(folder / VERIFIED, states)
    return manifest


def damaged(folder: Path) -> Iterator[Path]:
    """The sealed folders below a folder that are not what they were, whatever is remembered of them."""
    for manifest in sorted(folder.rglob(MANIFEST)):
        if unsealed(manifest.parent, every_byte=True) is None:
            yield manifest.parent


def _state(path: Path) -> list[int]:
    """Size, times of modification and of change, and place of a file."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _verified(folder: Path) -> dict[str, list[int]]:
    """The state of each file when every byte of it was last looked at."""
    with suppress(OSError, ValueError):
        found = read_json(folder / VERIFIED)
        return found if isinstance(found, dict) else {}
    return {}


def checksum(path: Path) -> int:
    """CRC-32 of a file: any burst of up to 32 bits shows, and all but one in four billion of longer changes."""
    found = 0
    with open(path, "rb", buffering=0) as file:
        while block := file.read(CHUNK):
            found = zlib.crc32(block, found)
    return found


def _own(manifest: dict[str, Any]) -> int:
    """The checksum of everything else that a manifest says."""
    rest = {key: value for key, value in manifest.items() if key != "checked"}
    return zlib.crc32(json.dumps(rest, sort_keys=True).encode())
