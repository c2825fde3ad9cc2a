"""Schedule: how the weight of what others say goes on while a member learns."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

Decay = Literal["constant", "linear", "cosine"]
DECAYS: tuple[Decay, ...] = ("constant", "linear", "cosine")
"""A member's setting `decay` is a place in this list, so that members of one stack may differ."""


class Schedule(NamedTuple):
    """Shares of a weight, one curve a member: up from 0 over the warm-up, then on as `decay` says.

    Attributes:
        decay: place in `DECAYS` of each member.
        warm_up: share of each member's steps in which the weight grows to its full size.
    """

    decay: Float[Tensor, " all"]
    warm_up: Float[Tensor, " all"]

    @classmethod
    def of(cls, settings: Sequence[Mapping[str, float]]) -> "Schedule | None":
        """From the settings of each member; None where all weights stay as they are."""
        if not any("decay" in one for one in settings):
            return None
        return cls(*(torch.tensor([one.get(name, 0.0) for one in settings]) for name in cls._fields))

    def share(self, progress: Float[Tensor, " members"]) -> Float[Tensor, " members"]:
        """What is left of a weight.

        Args:
            progress: share of its steps that each member has behind it, from 0 to 1.

        Example:
            >>> Schedule(torch.tensor([1.0]), torch.tensor([0.5])).share(torch.tensor([0.75])).tolist()
            [0.5]
        """
        decay, warm_up = (one.to(progress)[: len(progress)] for one in self)
        gone = ((progress - warm_up) / (1 - warm_up)).clamp(0, 1)
        curves = torch.stack([torch.ones_like(gone), 1 - gone, (1 + (math.pi * gone).cos()) / 2])
        left = curves.gather(0, decay.long()[None])[0]
        return torch.where(progress < warm_up, progress / warm_up.clamp_min(1e-12), left)
