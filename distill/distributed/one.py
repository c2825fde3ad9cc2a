"""One: a single ranker in the place of a fleet, whose weights may lie on many devices."""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.utils._pytree import tree_map

from distill.distributed.torchrec_tables import TorchRecTable
from distill.layers import FieldEmbedding


class One(nn.Module):
    """What a `Fleet` of one member does, with the ordinary module itself: its own parameters, its own submodules.

    Inputs and outputs have a leading members axis of one. The whole weights are in main memory only for `member`.

    Args:
        ranker: the member; taken over.

    Attributes:
        cut: tables that TorchRec has in parts.
    """

    def __init__(self, ranker: nn.Module) -> None:
        super().__init__()
        # Kept in a list, so that it is no submodule of ours: code and shapes, for when the ranker itself is cut up.
        self._blueprint = [copy.deepcopy(ranker).to("meta")]
        self.ranker = ranker
        self.cut: list[TorchRecTable] = []
        for module in self._embeddings().values():
            module.sparse = True

    def __len__(self) -> int:
        """Members in the stack."""
        return 1

    def forward(self, *inputs: Any) -> Any:
        """Runs the ranker."""
        said = self.ranker(*tree_map(lambda tensor: tensor[0], inputs))
        return tree_map(lambda tensor: tensor[None], said)

    def alone(self, index: int, *inputs: Any) -> Any:
        """Runs the ranker on inputs without a members axis, wherever they are. All processes must."""
        device = next(self.ranker.buffers()).device
        return self.ranker(*tree_map(lambda tensor: tensor.to(device), inputs))

    def tables(self) -> list[nn.Parameter]:
        """The tables of field embeddings, whose gradients hold the rows that were read. Each process has them all."""
        return [module.weight for module in self._embeddings().values() if module.weight is not None]

    def cut_up(self, device: torch.device, mesh: DeviceMesh) -> None:
        """Leaves the tables to TorchRec, each on one or several devices of every row of the mesh."""
        self.cut = [
            TorchRecTable(f"ranker.{name}.weight", module, device, mesh) for name, module in self._embeddings().items()
        ]

    def state(self) -> dict[str, Tensor]:
        """Copies of the whole parameters and persistent buffers in main memory. All processes must ask."""
        state = {name: whole(tensor).detach().to("cpu", copy=True) for name, tensor in self.ranker.state_dict().items()}
        return state | {table.name.removeprefix("ranker."): table.whole() for table in self.cut}

    def member(self, index: int) -> nn.Module:
        """The ranker as the ordinary module it was written as, with a copy of its present weights. All must ask."""
        module = copy.deepcopy(self._blueprint[0])
        module.load_state_dict(self.state(), assign=True)
        for name, buffer in self.ranker.named_buffers():
            owner, _, leaf = name.rpartition(".")
            module.get_submodule(owner)._buffers[leaf] = buffer.to("cpu", copy=True)
        return module

    def narrow(self, members: int) -> None:
        """Nobody leaves a stack of one."""

    def set_clock(self, clock: Tensor) -> None:
        """Tells every random layer seed and step, `[1, 2]`."""
        for buffer in self._buffers_named("clock"):
            buffer.copy_(clock[0])

    def set_first(self, row: int) -> None:
        """Tells every random layer where the rows that it is given begin in the whole step."""
        for buffer in self._buffers_named("first"):
            buffer.fill_(row)

    def sum_up(self, last: bool) -> None:
        """Whether the next backward pass is the last of its step, at the end of which replicas exchange gradients."""
        assert isinstance(self.ranker, FSDPModule)
        self.ranker.set_requires_all_reduce(last)

    def _embeddings(self) -> dict[str, FieldEmbedding]:
        return {name: module for name, module in self.ranker.named_modules() if isinstance(module, FieldEmbedding)}

    def _buffers_named(self, leaf: str) -> Iterator[Tensor]:
        return (buffer for name, buffer in self.ranker.named_buffers() if name.rpartition(".")[2] == leaf)


def whole(tensor: Tensor) -> Tensor:
    """A tensor without its parts; all processes must ask for it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def own(tensor: Tensor) -> Tensor:
    """This process's part of a tensor."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def like(part: Tensor, tensor: Tensor) -> Tensor:
    """This process's part of something that is cut up as `tensor` is."""
    if not isinstance(tensor, DTensor) or part.shape != own(tensor).shape:
        return part
    return DTensor.from_local(part, tensor.device_mesh, tensor.placements, shape=tensor.shape, stride=tensor.stride())
