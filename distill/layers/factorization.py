"""Factorization machine: what two features say together, for every pair of them."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from distill.layers.linear import Linear
from distill.layers.stacking import StackedFunction, affine, affine_, applied


class Factorize(StackedFunction):
    """All pairs, and a linear layer with ReLU, from one product of the inputs.

    The layer's matrix gets one more row for each coordinate, with a one wherever a field has that coordinate: the
    product then contains the sum of all vectors as well, for which another pass over the inputs would have been needed.
    """

    @staticmethod
    def forward(
        relu: bool, weight: Tensor, bias: Tensor, fields: Tensor, numbers: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        flat, width = fields.flatten(-2), fields.shape[-1]
        vectors, scalars = weight.split([flat.shape[-1], numbers.shape[-1]], -1)
        matrix = torch.cat([vectors, _summing(fields).expand(*vectors.shape[:-2], -1, -1)], -2)
        offset = torch.constant_pad_nd(bias, (0, width)).unsqueeze(-2)
        product = affine(offset, numbers, torch.constant_pad_nd(scalars, (0, 0, 0, width)).mT)
        layer, sums = affine_(product, flat, matrix.mT).split([weight.shape[-2], width], -1)
        squares = torch.linalg.vector_norm(flat, dim=-1, keepdim=True).square_()
        pairs = torch.linalg.vector_norm(sums, dim=-1, keepdim=True).square_().sub_(squares).mul_(0.5)
        return layer.relu_() if relu else layer, pairs, sums

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple, output: tuple[Tensor, ...]) -> None:
        ctx.relu, weight, _, fields, numbers = inputs
        layer, _, sums = output
        ctx.mark_non_differentiable(sums)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(weight, fields, numbers, layer, sums)

    @staticmethod
    def backward(ctx: FunctionCtx, layer: Tensor | None, pairs: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
        weight, fields, numbers, active, sums = ctx.saved_tensors
        layer = torch.zeros_like(active) if layer is None else layer
        pairs = torch.zeros_like(active[..., :1]) if pairs is None else pairs
        layer = torch.ops.aten.threshold_backward(layer, active, 0) if ctx.relu else layer
        flat = fields.flatten(-2)
        vectors, scalars = weight.split([flat.shape[-1], numbers.shape[-1]], -1)
        # The pairs' gradient of a vector is the sum of all vectors less itself.
        into = affine_(flat * -pairs, layer, vectors)
        affine_(into, sums * pairs, _summing(fields).expand(*vectors.shape[:-2], -1, -1))
        whole = torch.cat([layer.mT @ flat, layer.mT @ numbers], -1)
        return None, whole, layer.sum(-2), into.view_as(fields), layer @ scalars if ctx.needs_input_grad[4] else None


def _summing(fields: Tensor) -> Tensor:
    """The matrix that adds up the vectors of all fields, `[width, fields * width]`."""
    return torch.eye(fields.shape[-1], dtype=fields.dtype, device=fields.device).repeat(1, fields.shape[-2])


class FactorizationMachine(nn.Module):
    """The sum of all pairwise products of fields, and beside it one linear layer of fields and numbers.

    Rendle, Factorization Machines, ICDM 2010, equation 1 and lemma 3.1, without the terms of first order. That a deep
    network reads the same vectors is DeepFM's (Guo et al., 2017); to compute both by one matrix product is ours.

    Args:
        fields: number of fields.
        width: numbers of one field's vector.
        numbers: number of numeric inputs, which take part in no pair.
        outputs: width of the linear layer.
        bare: whether the layer is left without bias and ReLU, for a norm to follow.
    """

    def __init__(self, fields: int, width: int, numbers: int, outputs: int, *, bare: bool = False) -> None:
        super().__init__()
        self.layer = Linear(fields * width + numbers, outputs, relu=not bare, bias=not bare)

    def forward(
        self, fields: Float[Tensor, "*members rows fields width"], numbers: Float[Tensor, "*members rows numbers"]
    ) -> tuple[Float[Tensor, "*members rows outputs"], Float[Tensor, "*members rows 1"]]:
        """What the layer gives, and the sum over all pairs."""
        layer, pairs, _ = applied(Factorize, self.layer.relu, self.layer.weight, self.layer.bias, fields, numbers)
        return layer, pairs
