"""Cross: explicit products of features."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from distill.layers.linear import Linear
from distill.layers.stacking import StackedFunction, affine, affine_, applied


class Crossing(StackedFunction):
    """All layers of a cross network at once: what meets x_0 in every layer is then added up in place."""

    @staticmethod
    def forward(inputs: Tensor, *layers: Tensor) -> tuple[Tensor, ...]:
        states, products = [inputs], []
        for weight, bias in _pairs(layers):
            products.append(affine(bias.unsqueeze(-2), states[-1], weight.mT))
            states.append(torch.addcmul(states[-1], inputs, products[-1]))
        return states[-1], *states[1:-1], *products

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)  # They would be a stack of zeros for each output that nobody differentiates.
        ctx.save_for_backward(*inputs, *output[1:])

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor, *_: None) -> tuple[Tensor, ...]:
        count = len(ctx.needs_input_grad) // 2
        inputs, *rest = ctx.saved_tensors
        layers, states, products = rest[: 2 * count], [inputs, *rest[2 * count : -count]], rest[-count:]
        direct, into = gradient * products[-1], []
        for place, (weight, _) in reversed(list(enumerate(_pairs(layers)))):
            if place < count - 1:
                direct.addcmul_(gradient, products[place])
            own = gradient * inputs
            into = [own.mT @ states[place], own.sum(-2), *into]
            add = affine if place == count - 1 else affine_  # The gradient that came in is not ours to change.
            gradient = add(gradient, own, weight)
        return direct.add_(gradient), *into


def _pairs(layers: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    return list(zip(layers[::2], layers[1::2], strict=True))


class Cross(nn.Module):
    """Cross layers with full matrices: x_{l+1} = x_0 * (W x_l + b) + x_l, elementwise.

    Wang et al., DCN V2: Improved Deep & Cross Network, WWW 2021, equation 2.

    Args:
        inputs: width of what comes in, and of what goes out.
        layers: number of layers; each adds one degree of interaction.
    """

    def __init__(self, inputs: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(inputs, inputs) for _ in range(layers))
        self.width = inputs

    def forward(self, inputs: Float[Tensor, "*members rows width"]) -> Float[Tensor, "*members rows width"]:
        crossed, *_ = applied(
            Crossing, inputs, *(tensor for layer in self.layers for tensor in (layer.weight, layer.bias))
        )
        return crossed


class LowRankCross(nn.Module):
    """Cross layers whose matrices are products of two narrow ones: x_{l+1} = x_0 * (U (V x_l) + b) + x_l.

    Wang et al., DCN V2: Improved Deep & Cross Network, WWW 2021, equation 3.

    Args:
        inputs: width of what comes in, and of what goes out.
        layers: number of layers; each adds one degree of interaction.
        rank: width between the two matrices.
    """

    def __init__(self, inputs: int, layers: int, rank: int) -> None:
        super().__init__()
        narrow = [torch.empty(rank, inputs) for _ in range(layers)]
        self.reduce = nn.ParameterList(nn.Parameter(nn.init.xavier_uniform_(weight)) for weight in narrow)
        self.expand = nn.ModuleList(Linear(rank, inputs) for _ in range(layers))
        self.width = inputs

    def forward(self, inputs: Float[Tensor, "*members rows width"]) -> Float[Tensor, "*members rows width"]:
        crossed = inputs
        for reduce, expand in zip(self.reduce, self.expand, strict=True):
            crossed = torch.addcmul(crossed, inputs, expand(crossed @ reduce.mT))
        return crossed
