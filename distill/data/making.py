"""Making a data set: from files to encoded shards, what is known of all rows, and what has changed since before."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distill.data.assembly import Assembly
from distill.data.days import DAYS, Log, changes
from distill.data.leftovers import clear, earlier, encoding
from distill.data.sealed import seal, unsealed
from distill.data.settings import DataSettings, SplitByTime
from distill.data.shards import BESIDE, FORMAT, Encoding, Shard
from distill.data.source import Source
from distill.data.suspicions import suspicions
from distill.files import whole_folder
from distill.fingerprint import fingerprint
from distill.progress import Progress


def set_name(settings: DataSettings, digests: Sequence[str]) -> str:
    """The fingerprint of a data set: of what its files hold and of what their columns mean."""
    # As text, because the order of features and of the columns of a history counts.
    return fingerprint(FORMAT, settings.model_dump_json(exclude=BESIDE), list(digests))


def make(source: Source, settings: DataSettings, target: Path, progress: Progress | None) -> list[Shard]:
    """Encodes what has not been encoded yet, writes the data set, and removes what nothing needs any more.

    Args:
        source: the rows.
        settings: what they mean.
        target: folder of the data set, in the folder of all data. What is there is made again.
        progress: is told how many rows are encoded.

    Returns:
        The shards of the data set.

    Raises:
        DataError: everything that is wrong with the rows, all at once.
        StoreError: something cannot be written; how much is encoded, and kept, is said.
    """
    folder = target.parent
    if progress is not None and target.exists():  # Otherwise it would have been found whole.
        what = f"warning: {target}, or a block of it, was damaged; it is made again."
        progress.note(f"{what} distill doctor looks at every byte of a store.")
    with encoding(folder):
        whole = Encoding(source, settings, folder / "shards", _log(settings))
        with whole.kept():
            shards = _encoded(whole, progress)
            _write(source, settings, shards, target)
    clear(folder, _log(settings), list(source.digests))
    return shards


def _log(settings: DataSettings) -> str:
    """One name for all states of the same files, read in the same way; bounds of time move from day to day."""
    moving = {"split"} if isinstance(settings.split, SplitByTime) else set()
    where = settings.world if settings.path is None else str(settings.path.expanduser().resolve())
    return fingerprint(FORMAT, settings.model_dump_json(exclude=BESIDE | moving), where)


def _encoded(whole: Encoding, progress: Progress | None) -> list[Shard]:
    if progress is None:
        return whole.shards()
    with progress.stage("encode", whole.source.rows) as bar:
        return whole.shards(bar)


def _write(source: Source, settings: DataSettings, shards: Sequence[Shard], target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    with whole_folder(target) as draft:
        seal(draft, _assembled(source, settings, shards, draft, target))


def _assembled(
    source: Source, settings: DataSettings, shards: Sequence[Shard], draft: Path, target: Path
) -> dict[str, Any]:
    manifest = Assembly(source, settings, shards, draft).write()
    manifest |= {"log": _log(settings), "sources": list(source.digests)}
    manifest |= {"warnings": suspicions(settings, shards, draft, manifest)}
    return manifest | {"changes": _changes(manifest, draft, target)}


def _changes(manifest: dict[str, Any], draft: Path, target: Path) -> dict[str, Any] | None:
    """What differs from the latest state of the same log that is there."""
    for path in reversed(earlier(target.parent, manifest["log"])):
        known = unsealed(path)
        if known is not None:
            return changes(_state(known, path, path.name), _state(manifest, draft, target.name), manifest["times"])
    return None


def _state(manifest: dict[str, Any], folder: Path, name: str) -> Log:
    return Log(name, list(manifest["domains"]), np.load(folder / DAYS), manifest["parts"])
