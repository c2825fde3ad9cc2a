"""Sharding: where the weights of a ranker lie, by torch's FSDP2."""

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial

import torch
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.utils.checkpoint import checkpoint

from distill.layers import FieldEmbedding
from distill.types import Features


def mesh_of(device: str, shape: Sequence[int]) -> DeviceMesh:
    """The processes of the group in rows and columns.

    Args:
        device: type of their devices.
        shape: how many replicas there are, and over how many devices each is cut up.
    """
    return init_device_mesh(device, tuple(shape), mesh_dim_names=("replicate", "shard"))


def shard(
    ranker: nn.Module, mesh: DeviceMesh, tables: Collection[nn.Parameter], sample: Features, *, recompute: bool
) -> None:
    """Cuts up a ranker over the columns of the mesh and repeats it over the rows, in place.

    Each unit is put together when it is run, and cut up again afterwards. Tables stay whole on every device: their
    gradient is a few rows, which are exchanged as such.

    Args:
        ranker: equal on all processes.
        mesh: the processes.
        tables: parameters that are left as they are.
        sample: a row or more, on which it is seen how the ranker runs its parts.
        recompute: whether units are run again in the backward pass, instead of keeping what they computed.
    """
    ignored = set(tables)
    for unit in units(ranker, lambda: ranker(sample)):
        if recompute:
            unit.forward = partial(checkpoint, unit.forward, use_reentrant=False)
        fully_shard(unit, mesh=mesh, ignored_params=ignored)
    fully_shard(ranker, mesh=mesh, ignored_params=ignored)


@torch.no_grad()
def units(ranker: nn.Module, run: Callable[[], object]) -> list[nn.Module]:
    """The repeated blocks of a ranker: outermost members of module lists that have weights and are called.

    A layer may also be a mere holder of weights, which the module around it reads: it can only be cut up with that one.
    Nor is a block a unit that holds a table of embeddings, which others ask for rows by a method.

    Args:
        ranker: whose.
        run: runs it once, on a row or more.
    """
    called: set[nn.Module] = set()
    candidates = list(_blocks(ranker))
    hooks = [block.register_forward_hook(lambda module, *_: called.add(module)) for block in candidates]
    run()
    for hook in hooks:
        hook.remove()
    return [block for block in candidates if block in called]


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.children():
        for block in child if isinstance(child, nn.ModuleList) else ():
            tables = any(isinstance(part, FieldEmbedding) for part in block.modules())
            if not tables and any(True for _ in block.parameters()):
                yield block
        if not isinstance(child, nn.ModuleList):
            yield from _blocks(child)
