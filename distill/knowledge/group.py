"""A table that several processes write together, and the checkpoints of their common learner."""

import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, distributed
from torch.distributed import checkpoint

from distill.errors import Fault, StoreError
from distill.files import read_json, write_json
from distill.knowledge.manifest import Manifest
from distill.knowledge.store import CHECKPOINTS, STATE, KnowledgeWriter

PLACE = "place.json"
"""The numbers of a state, such as how many blocks were learnt from, beside the parts of its tensors."""

WEIGHTS = "ranker."
"""What the names of weights in a checkpoint begin with."""


class GroupWriter(KnowledgeWriter):
    """Writes one process's share of a table, in step with the others.

    A checkpoint holds each process's part of the learner. It is there when every process has committed the shard that
    belongs to it: who is lost loses its open shard, and all go on from the last checkpoint, in any number.

    Raises:
        StoreError: the table was begun by a process alone, whose learner is kept in another form.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        super().__init__(folder, manifest)
        if list((folder / "shards").glob(f"*/{STATE}")):
            what = "was begun on one device, without a group."
            raise StoreError(Fault(str(folder), what, "Go on with trainer.strategy=single, or delete the folder."))

    @property
    def _number(self) -> int:
        """Of the next shard and its checkpoint."""
        latest = latest_checkpoint(self.folder)
        return int(latest.name) + 1 if latest else 0

    def commit(self, state: dict[str, Tensor] | None = None) -> None:
        """Makes everything added so far permanent, together with the learner's state, if it still learns."""
        number = self._number
        target = self.folder / CHECKPOINTS / f"{number:06d}"
        draft = target.with_name(target.name + ".draft")
        if state is not None:
            _save(state, draft, self.rank)
        self._flush()
        self._put_shard(number)
        self.meet()
        if state is not None and self.rank == 0:
            draft.rename(target)
            for earlier in _checkpoints(self.folder)[:-1]:
                shutil.rmtree(earlier)
        self.meet()

    def state(self) -> dict[str, Tensor] | None:
        """The numbers of the state that was committed last; `load` fills the tensors."""
        latest = latest_checkpoint(self.folder)
        return read_json(latest / PLACE) if latest else None

    def load(self, state: dict[str, Tensor]) -> None:
        """Fills tensors, however they are cut up, with what was committed last."""
        checkpoint.load(state, checkpoint_id=latest_checkpoint(self.folder))


def latest_checkpoint(folder: Path) -> Path | None:
    """The last checkpoint of a table that is being written, if there is one."""
    found = _checkpoints(folder)
    return found[-1] if found else None


def consolidate(folder: Path, target: Path) -> int:
    """Puts the weights of a checkpoint together, which may lie in parts, as one safetensors file.

    Args:
        folder: of the checkpoint, or of the table that is being written.
        target: the file.

    Returns:
        Number of the weights.

    Raises:
        StoreError: there is no checkpoint.
    """
    place = folder if (folder / PLACE).exists() else latest_checkpoint(folder)
    if place is None:
        raise StoreError(Fault(str(folder), "holds no checkpoint of a group.", "Give the folder of a table."))
    described = checkpoint.FileSystemReader(place).read_metadata().state_dict_metadata
    names = [name for name in described if name.startswith(WEIGHTS)]
    weights = {name: torch.empty(described[name].size, dtype=described[name].properties.dtype) for name in names}
    checkpoint.load(weights, checkpoint_id=place, no_dist=True)
    draft = target.with_name(target.name + ".draft")
    save_file({name.removeprefix(WEIGHTS): tensor for name, tensor in weights.items()}, draft)
    draft.rename(target)
    return sum(tensor.numel() for tensor in weights.values())


def _save(state: dict[str, Tensor], draft: Path, rank: int) -> None:
    if rank == 0:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
    distributed.barrier()
    numbers = {name: one.item() for name, one in state.items() if one.dim() == 0 and not name.startswith(WEIGHTS)}
    checkpoint.save({name: one for name, one in state.items() if name not in numbers}, checkpoint_id=draft)
    if rank == 0:
        write_json(draft / PLACE, numbers)


def _checkpoints(folder: Path) -> list[Path]:
    return sorted((folder / CHECKPOINTS).glob("[0-9]" * 6))
