"""Dropout whose mask is a function of seed and step, so that it never depends on where a ranker is trained."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


class Dropout(nn.Module):
    """Sets units to zero at random while training, and scales up the rest.

    Which ones is a hash of the `clock`, the layer's salt, the row's position in the batch and the unit, and of nothing
    else: not of the device's generator, nor of which other rankers are trained beside this one.

    Args:
        rate: share of the units that are dropped, in [0, 1); kept to the nearest 65536th.
        salt: tells apart the layers of one ranker.
    """

    clock: Int[Tensor, "2"]
    """Seed of the ranker and number of the step; whoever trains it sets it before each step."""

    def __init__(self, rate: float, salt: int) -> None:
        super().__init__()
        self.threshold = min(round(rate * LEVELS), LEVELS - 1)
        self.salt = salt
        self.register_buffer("clock", torch.zeros(2, dtype=torch.int64))

    def forward(self, inputs: Float[Tensor, "rows width"]) -> Float[Tensor, "rows width"]:
        if not self.training or self.threshold == 0:
            return inputs
        scale = LEVELS / (LEVELS - self.threshold)
        return inputs * (self._kept(*inputs.shape).to(inputs.dtype) * scale)

    def _kept(self, rows: int, width: int) -> Bool[Tensor, "rows width"]:
        seed, step = self.clock.unbind()
        row = torch.arange(rows, device=seed.device).unsqueeze(-1)
        word = torch.arange(-(-width // LANES), device=seed.device)
        key = _mix(_mix(_mix(seed) + step) + self.salt)
        # Each number of 64 bits decides on four units: hashing is what dropout costs.
        lanes = _mix(_mix(key + row) + word).view(torch.int16)[..., :width]
        return lanes >= self.threshold - LEVELS // 2


LEVELS = 1 << 16
"""Values of a lane."""
LANES = 4
"""Lanes of 16 bits in a number of 64."""


def _mix(value: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
    """One number of splitmix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, 2014)."""
    value = value - 0x61C8864680B583EB  # the golden ratio 0x9E3779B97F4A7C15 as a signed number
    value = (value ^ _shift(value, 30)) * -0x40A7B892E31B1A47
    value = (value ^ _shift(value, 27)) * -0x6B2FB644ECCEEE15
    return value ^ _shift(value, 31)


def _shift(value: Int[Tensor, "*shape"], bits: int) -> Int[Tensor, "*shape"]:
    """Logical shift to the right; torch shifts in the sign."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)
