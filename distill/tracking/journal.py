"""Journal: which records MLflow has, and which it may have; one line for each step, only ever appended."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple


class Entry(NamedTuple):
    """What is known of a key: on its way (no content), or with MLflow as this run, with this content."""

    run_id: str | None
    content: str | None


class Journal:
    """The last entry of each key. Whoever appends holds `locked`; anybody may read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_to = 0
        self.entries: dict[str, Entry] = {}
        self.refresh()

    def refresh(self) -> None:
        """Reads what has been appended since, here or in another process."""
        if not self._path.exists():
            return
        with open(self._path, "rb") as file:
            file.seek(self._read_to)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._read_to += len(whole) + len(newline)
        for line in whole.splitlines():
            self._take(line)

    def append(self, key: str, run_id: str | None, content: str | None) -> None:
        """Adds one step; it is on disk when this returns."""
        with open(self._path, "ab+") as file:
            line = json.dumps({"key": key, "run_id": run_id, "content": content}) + "\n"
            file.write((b"" if self._ends_whole(file.tell()) else b"\n") + line.encode())
            file.flush()
            os.fsync(file.fileno())
        self.refresh()

    def _ends_whole(self, size: int) -> bool:
        """False after a line that its writer did not live to finish."""
        self.refresh()
        return size == self._read_to

    def _take(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
            self.entries[entry["key"]] = Entry(entry["run_id"], entry["content"])
        except (ValueError, KeyError, TypeError):
            return  # A line cut short by a kill: the step was not taken, and is taken again.


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a file lock among processes; the system lets go of it when the process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
