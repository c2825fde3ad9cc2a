"""The store: tables of knowledge as memory-mapped columns, written in shards, found by fingerprint."""

import copy
import fcntl
import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Int
from safetensors.torch import load_file, save_file
from torch import Tensor, distributed

from distill.errors import Fault, KnowledgeMismatch, StoreError
from distill.files import read_json, reserve, write_json
from distill.knowledge.manifest import Manifest
from distill.sampling import Part
from distill.spent import Spent
from distill.types import Prediction, Signal

STATE = "state.safetensors"
"""The learner's state, beside the shard it was committed with."""

CHECKPOINTS = "checkpoints"
"""Folder of what a group of processes goes on from, beside the shards."""

TIME = "time.json"
"""What the time of writing a table went into; no part of what it says."""


class Knowledge:
    """One complete table, memory-mapped. Row numbers are those of the impressions.

    Attributes:
        manifest: where it comes from.
        facts: what was measured when it was finished: coverage, rounding error, evaluated snapshot, audit.
            Empty while the table is being written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = Manifest.model_validate(read_json(folder / "manifest.json"))
        facts = folder / "facts.json"
        self.facts: dict[str, Any] = read_json(facts) if facts.exists() else {}
        self._columns = [torch.from_numpy(column) for column in _columns(folder, self.manifest, "r+")]

    @property
    def time(self) -> dict[str, float | None]:
        """What the time of writing it went into: see `Spent.facts`. Empty where that was not taken down."""
        path = self.folder / TIME
        return read_json(path) if path.exists() else {}

    @property
    def size(self) -> int:
        """Bytes of its columns."""
        return sum(column.nbytes for column in self._columns)

    def on(self, device: torch.device) -> "Knowledge":
        """The same, read from a copy on a device; what is taken from it lies there."""
        there = copy.copy(self)
        there._columns = [column.to(device) for column in self._columns]
        return there

    def take(self, rows: Int[Tensor, "*members rows"], *, representation: bool = True) -> Signal:
        """What the teacher said of `rows`, in fp32, and which of them it ever scored; fills are not covered."""
        logits, vectors, known = self._columns
        rows = rows.to(known.device)
        place = rows.clamp_min(0).flatten()
        logit = logits.index_select(0, place).unflatten(0, rows.shape).float()
        covered = known.index_select(0, place).view(rows.shape) & (rows >= 0)
        hidden = vectors.index_select(0, place) if representation else vectors.new_empty(len(place), 0)
        return Signal(Prediction(logit, hidden.unflatten(0, rows.shape).float()), covered)

    def require(self, *, data: str, tasks: tuple[str, ...]) -> None:
        """Refuses to be read with other rows or for other tasks.

        Raises:
            KnowledgeMismatch: with a sentence for each thing that differs.
        """
        wanted = {"data": data, "tasks": tasks}
        words = {"data": "fingerprint of the impressions", "tasks": "tasks"}
        faults = [
            Fault(
                str(self.folder),
                f"this knowledge was written for another {words[key]}: {getattr(self.manifest, key)}, not {value}.",
                "Let its own teacher score these rows, or name the data it was written for.",
            )
            for key, value in wanted.items()
            if getattr(self.manifest, key) != value
        ]
        if faults:
            raise KnowledgeMismatch(*faults)


class KnowledgeStore:
    """The tables of knowledge below one folder, each found by its fingerprint."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, fingerprint: str) -> Knowledge | None:
        """The table of that fingerprint, if it is complete."""
        folder = self.folder / fingerprint
        return Knowledge(folder) if (folder / "facts.json").exists() else None

    def writer(self, manifest: Manifest) -> "KnowledgeWriter":
        """Begins a table, or goes on with one whose writer was killed. Every process of a group writes its share.

        Raises:
            StoreError: one was begun by a group, and goes on by a process alone, or the other way round.
        """
        folder = self.folder / manifest.fingerprint
        if not grouped():
            if list(folder.glob(f"{CHECKPOINTS}/*")):
                what = "was begun by a group of processes."
                raise StoreError(Fault(str(folder), what, "Go on with trainer.strategy=ddp, or delete the folder."))
            return KnowledgeWriter(folder, manifest)
        from distill.knowledge.group import GroupWriter  # Torch's checkpoints take long to import.

        return GroupWriter(folder, manifest)


class KnowledgeWriter:
    """Writes one process's share of a table, shard by shard.

    Scores go straight to their place in memory-mapped columns. A shard is committed by the atomic rename of a folder
    that holds its record and the state of the learner that goes on from it, so that a killed writer loses its open
    shard only and goes on with the very state that belongs to the last one.

    Raises:
        KnowledgeMismatch: the folder holds a table of another teacher.
        StoreError: there is no room for the whole table; known before the first score is computed.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest
        self.rank, self.ranks = (distributed.get_rank(), distributed.get_world_size()) if grouped() else (0, 1)
        self._rounding = 0.0
        _begin(folder, manifest)
        earlier = folder / TIME
        self.spent = Spent(read_json(earlier) if earlier.exists() else None)
        self._logit, self._representation, self._covered = _columns(folder, manifest, "r+")

    @property
    def shards(self) -> list[Path]:
        """This process's committed shards, in order."""
        return sorted((self.folder / "shards").glob(f"{self.rank:04d}-*[0-9]"))

    @property
    def part(self) -> Part:
        """Which part of some rows this process scores; every process has another."""
        return Part(self.rank, self.ranks)

    def add(self, rows: np.ndarray, prediction: Prediction, *, covered: bool = True) -> None:
        """Puts down what was said of `rows`.

        Args:
            rows: row numbers `[rows]`.
            prediction: of one ranker, without a members axis.
            covered: False for scores that nobody should learn from, such as those of an untrained teacher.
        """
        logit = prediction.logit.detach().float().numpy()
        self._logit[rows] = logit
        if self.manifest.width:
            self._representation[rows] = prediction.representation.detach().float().numpy()
        self._covered[rows] = covered
        if logit.size:
            self._rounding = max(self._rounding, float(np.abs(self._logit[rows].astype(np.float32) - logit).max()))

    def commit(self, state: dict[str, Tensor] | None = None) -> None:
        """Makes everything added so far permanent, together with the learner's state after it, if it still learns."""
        self._flush()
        shards = self.shards
        self._put_shard(int(shards[-1].name.partition("-")[2]) + 1 if shards else 0, state)
        for old in shards if state is not None else []:
            (old / STATE).unlink(missing_ok=True)

    def _flush(self) -> None:
        for column in (self._logit, self._representation, self._covered):
            if isinstance(column, np.memmap):
                column.flush()

    def _put_shard(self, number: int, state: dict[str, Tensor] | None = None) -> None:
        """Commits a shard, in the place of one that was left without its checkpoint."""
        if self.rank == 0:
            write_json(self.folder / TIME, self.spent.facts())
        target = self.folder / "shards" / f"{self.rank:04d}-{number:06d}"
        draft = target.with_name(target.name + ".draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        write_json(draft / "shard.json", {"rounding_error": self._rounding})
        if state is not None:
            save_file({name: tensor.contiguous() for name, tensor in state.items()}, draft / STATE)
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)

    def state(self) -> dict[str, Tensor] | None:
        """The learner's state that was committed last."""
        paths = [shard / STATE for shard in self.shards if (shard / STATE).exists()]
        return load_file(paths[-1]) if paths else None

    def read(self) -> Knowledge:
        """The table as far as it is written."""
        return Knowledge(self.folder)

    def finish(self, facts: dict[str, Any]) -> Knowledge:
        """Declares the table complete, when every process has committed its last shard.

        Args:
            facts: what the scorer measured; coverage and rounding error are added here.
        """
        self.meet()
        records = [read_json(path / "shard.json") for path in sorted((self.folder / "shards").glob("*[0-9]"))]
        measured = {
            "rounding_error": max((record["rounding_error"] for record in records), default=0.0),
            "covered": int(self._covered.sum()),
        }
        if self.rank == 0:
            write_json(self.folder / TIME, self.spent.facts())
            write_json(self.folder / "facts.json", facts | measured)
        self.meet()
        return self.read()

    def load(self, state: dict[str, Tensor]) -> None:
        """Fills tensors with what was committed last."""
        for name, tensor in (self.state() or {}).items():
            if name in state:
                state[name].copy_(tensor)

    def meet(self) -> None:
        """Waits for the other processes of the group, if there are any."""
        if self.ranks > 1:
            distributed.barrier()


def grouped() -> bool:
    """Whether this process belongs to a group."""
    return distributed.is_available() and distributed.is_initialized()


def _begin(folder: Path, manifest: Manifest) -> None:
    """Makes the columns at their full size, or checks that those that are there are ours."""
    path = folder / "manifest.json"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # One process of a group makes the columns, the others find them.
        if not path.exists():
            for name, (shape, dtype) in _layout(manifest).items():
                _reserve(folder / name, shape, dtype)
            write_json(path, manifest.model_dump(mode="json"))
    found = Manifest.model_validate(read_json(path))
    if found != manifest:
        raise KnowledgeMismatch(
            Fault(str(folder), f"holds the knowledge of {found.teacher} ({found.fingerprint}), not of this teacher.")
        )


def _layout(manifest: Manifest) -> dict[str, tuple[tuple[int, ...], Any]]:
    return {
        "logit.npy": ((manifest.rows, len(manifest.tasks)), np.float16),
        "representation.npy": ((manifest.rows, manifest.width), np.float16),
        "covered.npy": ((manifest.rows,), np.bool_),
    }


def _reserve(path: Path, shape: tuple[int, ...], dtype: Any) -> None:
    """A column of zeros whose blocks exist on disk."""
    if not np.prod(shape):
        np.save(path, np.zeros(shape, dtype))
        return
    np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    reserve(path)


def _columns(folder: Path, manifest: Manifest, mode: Literal["r", "r+"]) -> list[np.ndarray]:
    columns = []
    for name, (shape, dtype) in _layout(manifest).items():
        column = np.load(folder / name, mmap_mode=mode if np.prod(shape) else None)
        if column.shape != shape or column.dtype != dtype:
            raise StoreError(
                Fault(str(folder / name), f"is damaged: {column.shape} instead of {shape}.", "Delete the folder.")
            )
        columns.append(column)
    return columns
