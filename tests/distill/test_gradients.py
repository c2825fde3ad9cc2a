"""Gradients that layers work out themselves, against plain formulas differentiated by torch, alone and stacked."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from distill.layers.cross import Crossing
from distill.layers.factorization import Factorize
from distill.layers.linear import Affine
from distill.layers.lookup import Lookup

MEMBERS, ROWS = 3, 6
IDS = torch.randint(5, (MEMBERS, ROWS, 2), generator=torch.Generator().manual_seed(1))


def affine(weight: Tensor, bias: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor]:
    return ((torch.cat([first, second], -1) @ weight.mT + bias.unsqueeze(-2)).relu(),)


def crossing(inputs: Tensor, *layers: Tensor) -> tuple[Tensor]:
    crossed = inputs
    for weight, bias in zip(layers[::2], layers[1::2], strict=True):
        crossed = inputs * (crossed @ weight.mT + bias.unsqueeze(-2)) + crossed
    return (crossed,)


def bare(weight: Tensor, bias: Tensor, fields: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
    layer = torch.cat([fields.flatten(-2), numbers], -1) @ weight.mT + bias.unsqueeze(-2)
    products = (fields @ fields.mT).triu(diagonal=1)
    return layer, products.sum((-2, -1)).unsqueeze(-1)


def factorize(*tensors: Tensor) -> tuple[Tensor, Tensor]:
    layer, pairs = bare(*tensors)
    return layer.relu(), pairs


def lookup(table: Tensor) -> tuple[Tensor]:
    ids = IDS if table.dim() == 3 else IDS[0]
    return (torch.nn.functional.one_hot(ids, table.shape[-2]).to(table.dtype) @ table.unsqueeze(-3),)


CASES = {
    "affine": (lambda *t: (Affine.apply(True, *t),), affine, [(4, 5), (4,), (ROWS, 3), (ROWS, 2)]),
    "crossing": (lambda *t: Crossing.apply(*t)[:1], crossing, [(ROWS, 4), *[(4, 4), (4,)] * 3]),
    "factorize": (lambda *t: Factorize.apply(True, *t)[:2], factorize, [(4, 8), (4,), (ROWS, 3, 2), (ROWS, 2)]),
    "bare": (lambda *t: Factorize.apply(False, *t)[:2], bare, [(4, 8), (4,), (ROWS, 3, 2), (ROWS, 2)]),
    "lookup": (lambda t: Lookup.apply(t, False, IDS if t.dim() == 3 else IDS[0]), lookup, [(5, 2)]),
}


@pytest.mark.parametrize("members", [(), (MEMBERS,)])
@pytest.mark.parametrize(("ours", "plain", "shapes"), CASES.values(), ids=CASES)
def test_values_and_gradients_are_those_of_the_plain_formula(
    ours: Callable, plain: Callable, shapes: list[tuple[int, ...]], members: tuple[int, ...]
) -> None:
    """fp64, every input, every output with a gradient of its own."""
    generator = torch.Generator().manual_seed(0)
    draw = lambda shape: torch.randn(*members, *shape, generator=generator, dtype=torch.float64)  # noqa: E731
    inputs = [draw(shape).requires_grad_() for shape in shapes]
    found, expected = ours(*inputs), plain(*inputs)
    weights = [torch.randn(one.shape, generator=generator, dtype=torch.float64) for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-12)
    slopes = [torch.autograd.grad(outputs, inputs, weights) for outputs in (found, expected)]
    for one, other in zip(*slopes, strict=True):
        assert torch.allclose(one, other, atol=1e-11)
