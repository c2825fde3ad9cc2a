"""FP8: which linear layers of a ranker may take their products in eight bits, found out on real rows.

Numbers are rounded to e4m3 (four bits of exponent, three of mantissa), each row of what comes in and each row of the
weight by a scale of its own (Micikevicius et al., FP8 Formats for Deep Learning, 2022). By rows, and not by tensors, so
that what is said of an impression does not depend on those beside it.
"""

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from distill.types import Features

LARGEST = torch.finfo(torch.float8_e4m3fn).max

MULTIPLE = 16
"""Widths that the kernels of accelerators take, and multiples of it. Asked for everywhere: one decision, any device."""


class Fp8Linear(nn.Linear):
    """A linear layer, perhaps with a ReLU behind it, whose product is taken in FP8; gradients go past the rounding.

    An existing layer becomes one by `lower`. On a processor the rounding is emulated, which takes longer; elsewhere
    torchao multiplies, and rounds gradients for their own products too.
    """

    relu = False

    def forward(self, *pieces: Tensor) -> Tensor:
        inputs = pieces[0] if len(pieces) == 1 else torch.cat(pieces, -1)
        total = _product(inputs, self.weight)
        if self.bias is not None:
            total = total + (self.bias.unsqueeze(-2) if total.dim() > 1 else self.bias)
        return total.relu() if self.relu else total


@torch.no_grad()
def probe(ranker: nn.Module, features: Features) -> dict[str, float]:
    """How far FP8 takes each linear layer off, on some rows: the norm of the error as a share of that of the outputs.

    Layers that are never called, such as mere holders of weights, are left out.

    Args:
        ranker: in whatever precision it is.
        features: real rows; those that training begins with, or later ones.
    """
    errors: dict[str, float] = {}

    def compare(name: str, layer: nn.Linear, pieces: tuple[Tensor, ...]) -> None:
        inputs = torch.cat(pieces, -1)
        exact, rounded = inputs @ layer.weight.mT, _product(inputs, layer.weight)
        error = float((rounded - exact).norm() / exact.norm().clamp_min(torch.finfo(exact.dtype).tiny))
        errors[name] = max(errors.get(name, 0.0), error)

    layers = {name: layer for name, layer in ranker.named_modules() if isinstance(layer, nn.Linear)}
    hooks = [
        layer.register_forward_pre_hook(lambda one, pieces, name=name: compare(name, one, pieces))
        for name, layer in layers.items()
    ]
    ranker(features)
    for hook in hooks:
        hook.remove()
    return errors


def admitted(ranker: nn.Module, errors: Mapping[str, float], limit: float) -> list[str]:
    """The layers that may run in FP8: probed, of a size that kernels take, and no further off than `limit`."""
    sizes = {name: ranker.get_submodule(name).weight.shape for name in errors}
    return [
        name for name, error in errors.items() if error <= limit and all(width % MULTIPLE == 0 for width in sizes[name])
    ]


def lower(ranker: nn.Module, names: Collection[str]) -> nn.Module:
    """The same ranker, some of whose linear layers take their products in FP8 from now on."""
    for name in names:
        ranker.get_submodule(name).__class__ = Fp8Linear
    return ranker


def lowered(ranker: nn.Module) -> list[str]:
    """Names of the layers that run in FP8."""
    return [name for name, layer in ranker.named_modules() if isinstance(layer, Fp8Linear)]


def rounded(numbers: Tensor) -> Tensor:
    """Numbers as FP8 has them, each row scaled to its range; the gradient is that of the numbers.

    >>> rounded(torch.tensor([448.0, 1.03, 0.0]))
    tensor([448.,   1.,   0.])
    """
    scale = numbers.detach().abs().amax(-1, keepdim=True).clamp_min(torch.finfo(numbers.dtype).tiny) / LARGEST
    nearest = (numbers.detach() / scale).to(torch.float8_e4m3fn).to(numbers.dtype) * scale
    return numbers + (nearest - numbers.detach())


def _product(inputs: Tensor, weight: Tensor) -> Tensor:
    """`inputs @ weight.T` in FP8."""
    if inputs.device.type == "cpu":
        return rounded(inputs) @ rounded(weight).mT
    return torchao_product(inputs, weight, emulate=False)


def torchao_product(inputs: Tensor, weight: Tensor, *, emulate: bool) -> Tensor:
    """The same by torchao, whose products by rows come in bf16.

    Args:
        inputs: `[..., inputs]`.
        weight: `[outputs, inputs]`.
        emulate: whether products are taken in full precision of rounded numbers, for devices that have no others.
    """
    from torchao.float8.config import Float8LinearConfig
    from torchao.float8.float8_linear import matmul_with_hp_or_float8_args
    from torchao.float8.float8_training_tensor import LinearMMConfig, ScaledMMConfig

    config = Float8LinearConfig.from_recipe_name("rowwise")
    way = ScaledMMConfig(emulate=emulate, use_fast_accum=True)
    settings: Any = (LinearMMConfig(way, way, way), config)
    product = matmul_with_hp_or_float8_args.apply(inputs.bfloat16(), weight.bfloat16().t(), *settings)
    return product.to(inputs.dtype)
