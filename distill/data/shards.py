"""Shards: blocks of rows in encoded form, each committed whole, and found again as long as nothing before them changes.

A shard is named by what it holds and by the shard before it, since its codes build on the vocabularies of those. So an
encoding that was interrupted goes on behind its last shard, and when a day is appended only that day is encoded.

    rows.arrow      one entry a row (`columns`, `roles`)
    events-*.npy    the events of a history or set, all rows one after the other
    days.npy        its parts (`distill.data.days`)
    words.arrow     the values that became known here: one list a vocabulary
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.data import columns, days, roles
from distill.data.block import Block, Desk
from distill.data.checks import Faults
from distill.data.hashing import RowDigest
from distill.data.kinds import widened
from distill.data.sealed import read_frame, seal, unsealed, write_frame
from distill.data.settings import DataSettings, SplitByTime
from distill.data.source import Cut, Source
from distill.errors import DataError, Fault, StoreError
from distill.files import whole_folder
from distill.fingerprint import fingerprint
from distill.progress import Bar

FORMAT = 4
"""Goes up when the same rows are encoded into other shards."""

BESIDE = {"path", "world", "block", "negatives"}
"""Settings that change nothing of what is encoded."""


class Shard:
    """One committed block of rows."""

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder, self.manifest = folder, manifest
        self.rows: int = manifest["rows"]

    def columns(self, names: Sequence[str]) -> pl.DataFrame:
        """Some columns, one entry a row."""
        return read_frame(self.folder / "rows.arrow", list(names))

    def column(self, name: str) -> NDArray:
        """One column, one entry a row."""
        return self.columns([name]).to_series().to_numpy()

    def events(self, key: str) -> NDArray[np.int32]:
        """The codes of all events of a history or set, [events, columns]."""
        return np.load(self.folder / f"events-{key}.npy")

    def days(self) -> days.Parts:
        """The parts of its rows, verticals by their codes."""
        return np.load(self.folder / days.DAYS)

    @cached_property
    def words(self) -> dict[str, pl.Series]:
        """The values that became known here, by vocabulary, in the order of their codes."""
        path = self.folder / "words.arrow"
        frame = read_frame(path) if path.exists() else pl.DataFrame()
        return {column.name: column.explode() for column in frame}


class Encoding:
    """Encodes a source shard by shard, as far as it has not been done.

    Args:
        source: the rows.
        settings: what their columns mean.
        folder: where shards are kept.
        log: what they are shards of (`distill.data.leftovers`).

    Raises:
        DataError: a file has none of the columns.
    """

    def __init__(self, source: Source, settings: DataSettings, folder: Path, log: str = "") -> None:
        self.source, self.settings, self.folder, self.log = source, settings, folder, log
        self.faults = Faults(source.place)
        self.desk = Desk(source, settings, self.faults)
        self.coders = [*roles.coders(self.desk), *columns.coders(self.desk)]
        source.recognise(self.faults.columns)
        self.done = 0

    def shards(self, bar: Bar | None = None) -> list[Shard]:
        """All shards, in the order of the rows; those that are not there yet are made.

        Raises:
            DataError: everything that is wrong with the rows that were not encoded before, all at once.
        """
        if not self.source.rows:
            raise DataError(Fault(self.source.name, "holds no rows.", "Give another data.path."))
        cuts = self.source.cuts(self.settings.block)
        names = list(self._names(cuts))
        found = list(self._known(names))
        self.done = len(found)
        if bar is not None and found:
            known = sum(shard.rows for shard in found)
            bar.advance(known, f"{known:,} of them were there")
        rest = cuts[len(found) :]
        for cut, name, frame in zip(rest, names[len(found) :], self._frames(rest), strict=True):
            shard = self._encode(cut, frame, self.folder / name)
            if shard is not None:
                found.append(shard)
                self.done += 1
            if bar is not None:
                bar.advance(cut.rows)
        self._close()
        return found

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Where the disk fills up, or nothing can be written for another reason, says what is kept of the encoding.

        Raises:
            StoreError: for whatever could not be written.
        """
        try:
            yield
        except (OSError, StoreError) as error:
            reason = Fault(str(self.folder), f"cannot be written: {getattr(error, 'strerror', None) or error}.")
            faults = error.faults if isinstance(error, StoreError) else [reason]
            raise StoreError(*(fault._replace(remedy=self._going_on(fault.remedy)) for fault in faults)) from error

    def _going_on(self, remedy: str) -> str:
        if not self.done:
            return remedy
        kept = f"{self.done:,} of {len(self.source.cuts(self.settings.block)):,} blocks are encoded and kept"
        return f"{remedy} {kept}." if remedy else f"{kept}; the same command goes on behind them."

    def _names(self, cuts: Sequence[Cut]) -> Iterator[str]:
        split = {"split"} if isinstance(self.settings.split, SplitByTime) else set()
        meaning = self.settings.model_dump_json(exclude=BESIDE | split)  # As text: the order of features counts.
        kinds = [[coder.columns, [self._wide(column) for column in coder.columns]] for coder in self.coders]
        name = fingerprint(FORMAT, meaning, kinds)
        for cut in cuts:
            name = fingerprint(name, self.source.digests[cut.file], cut.first, cut.rows)
            yield name

    def _wide(self, column: str) -> list[str]:
        """What decides how the values of a column are read, beside each file itself."""
        return ["numbers"] if widened(self.source.kinds(column)) else []

    def _known(self, names: Sequence[str]) -> Iterator[Shard]:
        """The shards that are there, up to the first that is not; the vocabularies take up their values."""
        for name in names:
            manifest = unsealed(self.folder / name)
            if manifest is None or self.faults:
                return
            shard = Shard(self.folder / name, manifest)
            for word, values in shard.words.items():
                vocabulary = self.desk.vocabulary(word)
                vocabulary.codes(values)
                vocabulary.committed()
            for coder in self.coders:
                coder.recall(manifest["notes"])
            yield shard

    def _frames(self, cuts: Sequence[Cut]) -> Iterator[pl.DataFrame]:
        if not cuts:
            return iter(())
        wanted = dict.fromkeys(column for coder in self.coders for column in coder.columns)
        return self.source.read(list(wanted), cuts)

    def _encode(self, cut: Cut, frame: pl.DataFrame, folder: Path) -> Shard | None:
        """One shard, or None where anything was wrong so far."""
        block = Block(frame, cut.start, RowDigest(cut.rows))
        for coder in self.coders:
            with self.faults.gathering():
                coder.code(block)
        words = {name: vocabulary.committed() for name, vocabulary in self.desk.words.items()}
        if self.faults:
            return None
        shutil.rmtree(folder, ignore_errors=True)
        with whole_folder(folder) as draft:
            manifest = self._write(block, {name: values for name, values in words.items() if values is not None}, draft)
            seal(draft, manifest)
        return Shard(folder, manifest)

    def _write(self, block: Block, words: dict[str, pl.Series], folder: Path) -> dict[str, Any]:
        verticals = block.rows["vertical"]
        names = [str(code) for code in range(self.desk.vocabulary("role:vertical").size)]
        write_frame(folder / "rows.arrow", pl.DataFrame(block.rows))
        for key, events in block.events.items():
            np.save(folder / f"events-{key}.npy", events)
        if words:
            lists = [values.implode().rename(name) for name, values in words.items()]
            write_frame(folder / "words.arrow", pl.DataFrame(lists))
        events = {key: len(codes) for key, codes in block.events.items()}
        parts = block.digest.parts(verticals, names)
        time, kind = block.rows.get("time"), block.notes.get("time")
        np.save(folder / days.DAYS, days.parts(block.digest.state, verticals, time, kind))
        return {"rows": len(block.frame), "events": events, "parts": parts, "notes": block.notes, "log": self.log}

    def _close(self) -> None:
        """Says everything that is wrong."""
        for coder in self.coders:
            with self.faults.gathering():
                coder.close()
        self.faults.tell()
