"""Where impressions lie: the files that a data section names, and the hash of what they hold."""

import glob
import hashlib
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from distill.data import synthetic
from distill.data.settings import DataSettings
from distill.errors import DataError, Fault
from distill.files import absent, read_json, write_json

SUFFIXES = {".parquet": "Parquet", ".csv": "CSV"}

SETTLED = 2.0
"""Seconds for which a file must have lain still before its size and time may stand for its content."""


def locate(settings: DataSettings, folder: Path) -> tuple[Path, ...]:
    """The files of a data section; a generated world is written below `folder` first.

    Raises:
        DataError: nothing is named, or nothing is there.
    """
    if settings.world is not None and settings.path is not None:
        raise DataError(Fault("data", "`path` and `world` exclude each other.", "Set one of them to null."))
    if settings.world is not None:
        return (synthetic.write(settings.world, folder / "worlds"),)
    if settings.path is None:
        remedy = "Give a Parquet or CSV file, a glob or a folder; on the command line: data.path=FILE."
        raise DataError(Fault("data.path", "no impressions are named.", remedy))
    return find(settings.path.expanduser())


def find(path: Path) -> tuple[Path, ...]:
    """The Parquet or CSV files that `path` means, sorted by name; the rows of the first come first.

    Raises:
        DataError: there are none, or of both kinds.
    """
    if path.is_file():
        files = [path]
    elif path.is_dir():
        files = [file for file in sorted(path.rglob("*")) if _belongs(file, path)]
    else:
        files = [Path(name) for name in sorted(glob.glob(str(path), recursive=True)) if Path(name).is_file()]
    if not files:
        raise DataError(_absent(path))
    kinds = {file.suffix.lower() for file in files}
    if not kinds <= SUFFIXES.keys():
        odd = next(file for file in files if file.suffix.lower() not in SUFFIXES)
        raise DataError(Fault(str(odd), "is neither Parquet nor CSV.", "Its name must end with .parquet or .csv."))
    if len(kinds) > 1:
        raise DataError(Fault(str(path), "holds Parquet and CSV files.", 'Name one kind, for example "*.parquet".'))
    return tuple(files)


def _belongs(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)
    return file.suffix.lower() in SUFFIXES and file.is_file() and not hidden


def _absent(path: Path) -> Fault:
    if path.is_dir():
        return Fault(str(path), "holds no Parquet or CSV file.", "Give another data.path.")
    if glob.has_magic(str(path)):
        return Fault(str(path), "matches no file.", "Give another data.path.")
    return absent(path, "Give data.path: a file, a glob or a folder.")


def digest(files: Sequence[Path], folder: Path) -> list[str]:
    """The hash of each file's content, kept below `folder`, so that a file is read again only if it changed."""
    memory = folder / "sources.json"
    known: dict[str, list] = {}
    with suppress(OSError, ValueError):
        known = read_json(memory)
    before = dict(known)
    found = [_digest(file.resolve(), known) for file in files]
    if known != before:
        write_json(memory, known)
    return found


def _digest(file: Path, known: dict[str, list]) -> str:
    found = file.stat()
    state = [found.st_size, found.st_mtime_ns, found.st_ctime_ns]  # The last one moves with every write.
    entry = known.get(str(file))
    if entry and entry[:-1] == state:
        return entry[-1]
    try:
        with open(file, "rb") as content:
            digest = hashlib.file_digest(content, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise DataError(Fault(str(file), f"cannot be read: {error.strerror or error}.")) from None
    if time.time() - found.st_ctime > SETTLED:
        known[str(file)] = [*state, digest]
    return digest
