"""The section `trainer`: on what rankers are trained."""

from typing import Literal

from pydantic import Field, PositiveInt

from distill.types import Settings


class Trainer(Settings):
    """What rankers are trained on. Results on another device agree to rounding, so of all this only `copies` are in a
    fingerprint."""

    device: str = Field(default="auto", pattern=r"^[a-z_]+$")
    """`cpu`, `cuda`, another accelerator that Lightning knows by that name, or `auto`: the best there is."""
    compile: bool = False
    """Whether `torch.compile` makes one program of forward and backward: half a minute of waiting, and fewer calls of
    the device. An accelerator records them once for each size of a step and replays them (CUDA graphs)."""
    strategy: Literal["single", "ddp", "hsdp"] = "single"
    """How the teacher is trained: by one process; by a group, each with the whole teacher (`ddp`); by a group over
    which its weights are cut up (`hsdp`). A step's rows are shared out, so that the teacher is the same."""
    devices: int = Field(default=1, ge=1)
    """Processes of the group, each with a device of its own; on a processor, so many processes."""
    mesh: tuple[PositiveInt, PositiveInt] | None = None
    """For `hsdp`: how many replicas there are, and over how many devices each is cut up; left out, one replica."""
    tables: Literal["whole", "torchrec"] = "whole"
    """Where a group's tables of embeddings lie: whole on every device, or in parts on all of them, by TorchRec if that
    is installed (`distill doctor` says how). The teacher must step them by `rowwise_adagrad`."""
    average: int | None = Field(default=None, ge=1)
    """For `tables: torchrec`: each row of the mesh has a copy of the tables, in parts over its devices, and trains it
    by its own share of a step; after so many steps the copies are averaged. That makes another teacher. Left out,
    there are no copies: tables are in parts over all devices."""
    accumulate: int = Field(default=1, ge=1)
    """Micro-batches in which a process of a group goes through its rows of a step; their gradients are added up."""
    recompute: bool = False
    """Whether a group computes the blocks of its teacher again in the backward pass, instead of keeping everything."""

    @property
    def shape(self) -> tuple[int, int]:
        """How many replicas of the teacher there are, and over how many devices each is cut up."""
        return (self.devices, 1) if self.strategy == "ddp" else self.mesh or (1, self.devices)

    @property
    def table_shape(self) -> tuple[int, int]:
        """The same of the tables, where TorchRec has them."""
        return self.shape if self.average else (1, self.devices)

    @property
    def copies(self) -> dict[str, int]:
        """How many copies of the tables are trained apart, and for how many steps: all of this section that decides how
        a teacher turns out. Empty where there are none."""
        return {"copies": self.shape[0], "average": self.average} if self.average else {}

    @property
    def alone(self) -> "Trainer":
        """The same for one process."""
        return Trainer(device=self.device, compile=self.compile)
