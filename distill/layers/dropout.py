"""Dropout whose mask is a function of seed and step, so that it never depends on where a ranker is trained."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from distill.layers.stacking import StackedFunction, applied

LEVELS = 1 << 16
"""Values of a lane."""
LANES = 4
"""Lanes of 16 bits in a number of 64."""


class Dropout(nn.Module):
    """Sets units to zero at random while training, and scales up the rest.

    Which ones is a hash of the `clock`, the layer's salt, the row's position in the batch and the unit, and of nothing
    else: not of the device's generator, nor of which other rankers are trained beside this one, nor of how many devices
    share the batch. The rate is a buffer, so that rankers with different rates can be one stack.

    Args:
        rate: share of the units that are dropped, in [0, 1); kept to the nearest 65536th.
        salt: tells apart the layers of one ranker.
    """

    clock: Int[Tensor, "*members 2"]
    """Seed of the ranker and number of the step; whoever trains it sets it before each step."""
    threshold: Int[Tensor, "*members"]
    """Lanes below it are dropped."""
    first: Int[Tensor, "*members"]
    """Position, in the whole batch, of the first row that it is given; whoever gives it a part of the batch sets it."""

    def __init__(self, rate: float, salt: int) -> None:
        super().__init__()
        self.salt = salt
        self.register_buffer("clock", torch.zeros(2, dtype=torch.int64))
        self.register_buffer("threshold", torch.tensor(min(round(rate * LEVELS), LEVELS - 1)), persistent=False)
        self.register_buffer("first", torch.zeros((), dtype=torch.int64), persistent=False)

    def forward(self, inputs: Float[Tensor, "*members rows width"]) -> Float[Tensor, "*members rows width"]:
        return applied(Drop, inputs, self.clock, self.threshold, self.first, self.salt) if self.training else inputs


class Drop(StackedFunction):
    """Units times what is left of them: 0, or the inverse of the share that is kept."""

    exact = True

    @staticmethod
    def forward(inputs: Tensor, clock: Tensor, threshold: Tensor, first: Tensor, salt: int) -> Tensor:
        return inputs.view_as(inputs) if _idle(threshold) else inputs * _left(inputs, clock, threshold, first, salt)

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple, output: Tensor) -> None:
        _, clock, threshold, first, ctx.salt = inputs
        ctx.save_for_backward(clock, threshold, first)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        clock, threshold, first = ctx.saved_tensors
        if not _idle(threshold):
            gradient = gradient * _left(gradient, clock, threshold, first, ctx.salt)
        return gradient, None, None, None, None


def _idle(threshold: Tensor) -> bool:
    """Whether nothing is dropped; a program that is compiled drops nothing rather than ask."""
    return not torch.compiler.is_compiling() and not threshold.any()


def _left(units: Tensor, clock: Tensor, threshold: Tensor, first: Tensor, salt: int) -> Tensor:
    """What each unit is multiplied by, `[*members, rows, width]`."""
    rows, width = units.shape[-2:]
    seed, step = clock.unbind(-1)
    key = mix(mix(mix(seed) + step) + salt)[..., None, None]
    row = first[..., None, None] + torch.arange(rows, device=key.device).unsqueeze(-1)
    word = torch.arange(-(-width // LANES), device=key.device)
    # Each number of 64 bits decides on four units: hashing is what dropout costs.
    lanes = mix(mix(key + row) + word).view(torch.int16)[..., :width]
    cut = threshold[..., None, None]
    return (lanes >= cut - LEVELS // 2).to(units.dtype) * (LEVELS / (LEVELS - cut).to(units.dtype))


def mix(value: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
    """One number of splitmix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, 2014)."""
    value = value - 0x61C8864680B583EB  # the golden ratio 0x9E3779B97F4A7C15 as a signed number
    value = (value ^ _shift(value, 30)) * -0x40A7B892E31B1A47
    value = (value ^ _shift(value, 27)) * -0x6B2FB644ECCEEE15
    return value ^ _shift(value, 31)


def _shift(value: Int[Tensor, "*shape"], bits: int) -> Int[Tensor, "*shape"]:
    """Logical shift to the right; torch shifts in the sign."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)
