"""Leftovers: earlier states of a log that has changed, and shards that nothing refers to any more.

A log is a data section and the place of its files. When it has been encoded anew, its earlier states cannot be asked
for any more, and go. What somebody is reading stays until the next time. Whatever is removed loses its manifest first,
so that a process that is killed half way leaves nothing that looks whole.
"""

import fcntl
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from distill.data.sealed import MANIFEST
from distill.files import read_json

SHARDS = "shards.json"
"""Names of the shards of a data set, in the order of their rows."""

NAME = re.compile("[0-9a-f]{16}")


def hold(folder: Path) -> TextIO:
    """Keeps a data set from being removed as long as the file that is given back stays open."""
    file = open(folder / MANIFEST)  # noqa: SIM115
    fcntl.flock(file, fcntl.LOCK_SH)
    return file


@contextmanager
def encoding(folder: Path) -> Iterator[None]:
    """Says that shards below a data folder are being made, which nothing refers to yet."""
    (folder / "shards").mkdir(parents=True, exist_ok=True)
    with open(folder / "encoding", "w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def earlier(folder: Path, log: str) -> list[Path]:
    """The states of a log that are complete below a data folder, the latest last."""
    found = [path for path in _sets(folder) if _said(path).get("log") == log]
    return sorted(found, key=lambda path: (path / MANIFEST).stat().st_mtime_ns)


def clear(folder: Path, log: str, sources: list[str]) -> None:
    """Removes what a log no longer needs, unless somebody reads or encodes it.

    Args:
        folder: of all data.
        log: whose earlier states, and whose shards.
        sources: hashes of its files; states of other files can't be asked for any more.
    """
    with open(folder / "encoding", "w") as file:
        if not _alone(file):
            return
        broken = [path for path in _named(folder) if not (path / MANIFEST).exists()]
        states = [path for path in earlier(folder, log) if _said(path).get("sources") != sources]
        for path in [*states, *broken]:
            _remove(path)
        used = {name for path in _sets(folder) for name in _shards(path)}
        for path in _named(folder / "shards"):
            if path.name not in used and _said(path).get("log", log) == log:
                _remove(path)


def _remove(folder: Path) -> None:
    try:
        with open(folder / MANIFEST) as file:
            if not _alone(file):
                return
            (folder / MANIFEST).unlink()
    except FileNotFoundError:  # Somebody was killed here.
        pass
    shutil.rmtree(folder, ignore_errors=True)


def _alone(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sets(folder: Path) -> list[Path]:
    return [path for path in _named(folder) if (path / MANIFEST).exists()]


def _named(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if NAME.fullmatch(path.name)] if folder.is_dir() else []


def _said(folder: Path) -> dict[str, Any]:
    """What the manifest of a folder says; nothing where it is damaged or gone."""
    try:
        return dict(read_json(folder / MANIFEST))
    except (OSError, ValueError, TypeError):
        return {}


def _shards(folder: Path) -> list[str]:
    try:
        return list(read_json(folder / SHARDS))
    except (OSError, ValueError, TypeError):
        return []
