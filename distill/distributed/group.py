"""Groups of processes: which place this one has, and joining the others."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import NamedTuple

import torch
from lightning.fabric.plugins.environments import ClusterEnvironment, SLURMEnvironment, TorchElasticEnvironment
from torch import distributed

PATIENCE = timedelta(hours=6)
"""How long processes wait for one another: the first one reads the data while the others have nothing to do."""


class Place(NamedTuple):
    """The place of a process in its group.

    Attributes:
        rank: its number.
        ranks: how many processes there are.
        local: its number on its machine, which is that of its accelerator.
        address: machine of the first process.
        port: on which that one is found.
    """

    rank: int
    ranks: int
    local: int
    address: str
    port: int


def given() -> Place | None:
    """The place that torchrun or Slurm has given to this process; None where it stands alone."""
    environment = _environment()
    if environment is None or environment.world_size() == 1:
        return None
    return Place(
        environment.global_rank(),
        environment.world_size(),
        environment.local_rank(),
        environment.main_address,
        environment.main_port,
    )


@contextmanager
def joined(place: Place, device: str) -> Iterator[None]:
    """Within, this process belongs to the group: gloo on processors, what torch takes by default elsewhere.

    Args:
        place: its own.
        device: name of Lightning's accelerator.
    """
    if device != "cpu":
        torch.accelerator.set_device_index(place.local)
    distributed.init_process_group(
        distributed.get_default_backend_for_device(device_of(device)),
        init_method=f"tcp://{place.address}:{place.port}",
        rank=place.rank,
        world_size=place.ranks,
        timeout=PATIENCE,
    )
    try:
        yield
    finally:
        distributed.destroy_process_group()


def device_of(device: str) -> torch.device:
    """The device of this process: a processor, or the accelerator that it has taken.

    Args:
        device: name of Lightning's accelerator, which torch may call otherwise.
    """
    found = torch.accelerator.current_accelerator() if device != "cpu" else None
    return torch.device(found.type, torch.accelerator.current_device_index()) if found else torch.device("cpu")


def _environment() -> ClusterEnvironment | None:
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    # A shell within an allocation has these variables too; only srun numbers processes and tells them their step.
    return SLURMEnvironment() if SLURMEnvironment.detect() and "SLURM_STEP_ID" in os.environ else None
