"""Outbox: records on disk, from the moment they are made until MLflow has them."""

import hashlib
import os
import re
import sqlite3
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from distill.errors import Fault, StoreError
from distill.files import read_json, write_json
from distill.tracking.address import database_file, redacted
from distill.tracking.journal import Entry, Journal, locked
from distill.tracking.record import RunRecord, cleaned, fingerprint, from_json

_ADOPTED = ""
"""A key that no record has; its line in the journal says that `adopt` came to its end."""


class Waiting(NamedTuple):
    """The newest version of a record that MLflow lacks.

    Attributes:
        record: the record.
        content: its fingerprint.
        since: when its first version came here, in milliseconds since 1970.
        at: when this version came here.
        files: the files of all versions.
    """

    record: RunRecord
    content: str
    since: int
    at: int
    files: tuple[Path, ...]


class Outbox:
    """Records for one experiment at one address, each in a file of its own, sent in the order in which they came.

    A key is in the journal without a run before MLflow is told of it, so that a run that was created by a process
    that died before it could write so down is looked for, and not created twice.
    """

    def __init__(self, folder: Path, uri: str, experiment: str) -> None:
        self.folder = folder / "outbox" / _destination(folder, uri, experiment)
        self._files = self.folder / "waiting"
        self._files.mkdir(parents=True, exist_ok=True)
        self._journal = Journal(self.folder / "journal.jsonl")
        self._forget_lost(database_file(uri))
        self._newest = {key: entry.content for key, entry in self._journal.entries.items() if entry.content}
        self._newest |= {waiting.record.key: waiting.content for waiting in self.waiting()}

    def put(self, record: RunRecord) -> bool:
        """Writes a record down; False where MLflow has it, or will have it, just as it is."""
        record = cleaned(record)
        content = fingerprint(record)
        if self._newest.get(record.key) == content:
            return False
        now = time.time_ns()
        path = self._files / f"{now:020d}-{content[:16]}.json"
        try:
            write_json(path, {"at": now // 1_000_000, "content": content, "record": asdict(record)})
        except OSError as error:
            raise StoreError(Fault(str(path), f"the record could not be written: {error.strerror}.")) from error
        self._newest[record.key] = content
        return True

    def waiting(self) -> list[Waiting]:
        """What MLflow lacks: one record a key, at the place of its first version, with the content of its last."""
        versions: dict[str, list[Waiting]] = {}
        for path in sorted(self._files.glob("*.json")):
            if found := _read(path):
                versions.setdefault(found.record.key, []).append(found)
        return [
            of_key[-1]._replace(
                since=of_key[0].since, files=tuple(file for version in of_key for file in version.files)
            )
            for of_key in versions.values()
        ]

    def __len__(self) -> int:
        return sum(1 for _ in self._files.glob("*.json"))

    def lock(self) -> AbstractContextManager[None]:
        """Held by the one process that sends."""
        return locked(self.folder / "lock")

    def refresh(self) -> None:
        """Learns what another process has sent meanwhile."""
        self._journal.refresh()

    def entry(self, key: str) -> Entry | None:
        """What is known of a key; None if MLflow has never been told of it."""
        return self._journal.entries.get(key)

    def is_new(self) -> bool:
        """Whether the runs that MLflow already had were never noted here."""
        return _ADOPTED not in self._journal.entries

    def run_ids(self) -> dict[str, str]:
        """Key -> run id, of all that MLflow has."""
        return {key: entry.run_id for key, entry in list(self._journal.entries.items()) if entry.run_id}

    def mark_on_its_way(self, key: str) -> None:
        """To be called before MLflow is first told of a key."""
        self._journal.append(key, None, None)

    def adopt(self, runs: Mapping[str, str]) -> None:
        """Notes key and run id of all that MLflow has from elsewhere, with contents that are not known here."""
        for key, run_id in runs.items():
            self._journal.append(key, run_id, None)
        self._journal.append(_ADOPTED, None, None)

    def mark_sent(self, waiting: Waiting, run_id: str) -> None:
        """To be called once MLflow has all of a record."""
        self._journal.append(waiting.record.key, run_id, waiting.content)
        for file in waiting.files:
            file.unlink(missing_ok=True)

    def _forget_lost(self, database: Path | None) -> None:
        """Forgets runs that are no longer in the database: somebody has deleted it, or put another in its place."""
        present = _runs(database) if database and self.run_ids() else None
        if present is None:
            return
        for key, run_id in self.run_ids().items():
            if run_id not in present:
                del self._journal.entries[key]


def _destination(folder: Path, uri: str, experiment: str) -> str:
    """Name of the outbox of an experiment; it stays the same when outbox and database move together."""
    database = database_file(uri)
    address = os.path.relpath(database, folder.absolute()) if database else redacted(uri)
    digest = hashlib.sha256(f"{address}\n{experiment}".encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', experiment)[:60]}-{digest}"


def _read(path: Path) -> Waiting | None:
    """A waiting record; None where another process has just sent it, or the file is damaged (it is then put aside)."""
    try:
        content = read_json(path)
        return Waiting(from_json(content["record"]), content["content"], content["at"], content["at"], (path,))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        path.rename(path.with_suffix(".damaged"))
        return None


def _runs(database: Path) -> set[str] | None:
    """Ids of all runs in a sqlite database, without mlflow; None where it does not answer."""
    if not database.exists():
        return set()
    try:
        connection = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=1)
        try:
            return {run_id for (run_id,) in connection.execute("SELECT run_uuid FROM runs")}
        finally:
            connection.close()
    except sqlite3.Error:
        return None
