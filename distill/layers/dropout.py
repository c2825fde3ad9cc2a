"""Dropout whose mask is a function of seed and step, so that it never depends on where a ranker is trained."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class Dropout(nn.Module):
    """Sets units to zero at random while training, and scales up the rest.

    Which ones is a hash of the `clock`, the layer's salt, the row's position in the batch and the unit, and of nothing
    else: not of the device's generator, nor of which other rankers are trained beside this one.

    Args:
        rate: share of the units that are dropped, in [0, 1).
        salt: tells apart the layers of one ranker.
    """

    clock: Int[Tensor, "2"]
    """Seed of the ranker and number of the step; whoever trains it sets it before each step."""

    def __init__(self, rate: float, salt: int) -> None:
        super().__init__()
        self.rate = rate
        self.salt = salt
        self.register_buffer("clock", torch.zeros(2, dtype=torch.int64))

    def forward(self, inputs: Float[Tensor, "rows width"]) -> Float[Tensor, "rows width"]:
        if not self.training or self.rate == 0:
            return inputs
        seed, step = self.clock.unbind()
        row = torch.arange(inputs.shape[-2], device=inputs.device).unsqueeze(-1)
        unit = torch.arange(inputs.shape[-1], device=inputs.device)
        key = _mix(_mix(_mix(seed) + step) + self.salt)
        kept = _uniform(_mix(_mix(key + row) + unit)) >= self.rate
        return inputs * (kept / (1 - self.rate)).to(inputs.dtype)


def _mix(value: Int[Tensor, "*batch"]) -> Int[Tensor, "*batch"]:
    """One number of splitmix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, 2014)."""
    value = value - 0x61C8864680B583EB  # the golden ratio 0x9E3779B97F4A7C15 as a signed number
    value = (value ^ _shift(value, 30)) * -0x40A7B892E31B1A47
    value = (value ^ _shift(value, 27)) * -0x6B2FB644ECCEEE15
    return value ^ _shift(value, 31)


def _shift(value: Int[Tensor, "*batch"], bits: int) -> Int[Tensor, "*batch"]:
    """Logical shift to the right; torch shifts in the sign."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def _uniform(value: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """The upper 24 bits as a number in [0, 1), exact in fp32 and so the same in every precision."""
    return _shift(value, 40) * 2.0**-24
