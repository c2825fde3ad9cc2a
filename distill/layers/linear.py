"""Linear: one matrix product for many members, on inputs that need not be joined first."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from distill.layers.stacking import StackedFunction, affine, affine_, applied


class Affine(StackedFunction):
    """`relu(inputs @ weight.T + bias)`, or the same without the ReLU, with inputs given in pieces.

    What makes it faster than its parts: the bias is added by the matrix product, the ReLU works in place and needs no
    copy of what it cut off, and pieces that stand side by side are never copied into one tensor.
    """

    @staticmethod
    def forward(relu: bool, weight: Tensor, bias: Tensor, *pieces: Tensor) -> Tensor:
        first, *rest = zip(pieces, _columns(weight, pieces), strict=True)
        total = affine(bias.unsqueeze(-2), first[0], first[1].mT)
        for piece, columns in rest:
            affine_(total, piece, columns.mT)
        return total.relu_() if relu else total

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple, output: Tensor) -> None:
        ctx.relu, weight, _, *pieces = inputs
        ctx.save_for_backward(weight, output if ctx.relu else None, *pieces)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weight, output, *pieces = ctx.saved_tensors
        if ctx.relu:
            gradient = torch.ops.aten.threshold_backward(gradient, output, 0)
        columns = zip(_columns(weight, pieces), ctx.needs_input_grad[3:], strict=True)
        inputs = [gradient @ matrix if needed else None for matrix, needed in columns]
        weights = [gradient.mT @ piece for piece in pieces]
        return None, weights[0] if len(pieces) == 1 else torch.cat(weights, -1), gradient.sum(-2), *inputs


def _columns(weight: Tensor, pieces: Sequence[Tensor]) -> Sequence[Tensor]:
    """The columns of the weight that belong to each piece."""
    return weight.split([piece.shape[-1] for piece in pieces], -1)


class Linear(nn.Linear):
    """A linear layer, perhaps followed by a ReLU, on one vector a row or on several that count as side by side.

    Args:
        inputs: width of what comes in, all pieces together.
        outputs: width of what goes out.
        relu: whether negative outputs become zero.
        bias: False where a norm follows, which would take it off again: its gradient would be noise, and a step of Adam
            is as long for noise as for anything.
    """

    def __init__(self, inputs: int, outputs: int, *, relu: bool = False, bias: bool = True) -> None:
        super().__init__(inputs, outputs, bias)
        self.relu = relu
        if not bias:
            del self.bias
            self.register_buffer("bias", torch.zeros(outputs), persistent=False)

    def forward(self, *pieces: Float[Tensor, "*members rows _"]) -> Float[Tensor, "*members rows {self.out_features}"]:
        return applied(Affine, self.relu, self.weight, self.bias, *pieces)
