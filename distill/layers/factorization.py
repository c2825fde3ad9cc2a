"""Factorization machine: what two features say together, for every pair of them."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from distill.layers.stacking import affine, members_first


class Factorize(torch.autograd.Function):
    """The machine and a linear layer with ReLU, from one product of the inputs.

    The layer's matrix gets some constant rows: one for each coordinate, which adds up the fields' vectors, and one that
    adds up their first-order weights. One product then gives the layer and all these sums, and its transpose all their
    gradients, where each would have been a pass over the inputs.
    """

    @staticmethod
    def forward(weight: Tensor, bias: Tensor, linear: Tensor, fields: Tensor, numbers: Tensor) -> tuple[Tensor, ...]:
        flat = fields.flatten(-2)
        vectors, scalars = _extended(weight, linear, fields.shape[-2:])
        offset = torch.constant_pad_nd(bias, (0, fields.shape[-1])).unsqueeze(-2)
        product = affine(affine(offset, numbers, scalars.mT), flat, vectors.mT)
        layer, sums, first = product.split([weight.shape[-2], fields.shape[-1] - 1, 1], -1)
        squares = torch.linalg.vector_norm(flat, dim=-1, keepdim=True).square_()
        squares -= fields[..., -1].square().sum(-1, keepdim=True)
        return layer.relu(), first + 0.5 * (sums.square().sum(-1, keepdim=True) - squares), sums

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        weight, _, linear, fields, numbers = inputs
        layer, _, sums = output
        ctx.mark_non_differentiable(sums)
        ctx.save_for_backward(weight, linear, fields, numbers, layer, sums)

    @staticmethod
    def backward(ctx: FunctionCtx, layer: Tensor, logit: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        weight, linear, fields, numbers, active, sums = ctx.saved_tensors
        shape, flat = fields.shape[-2:], fields.flatten(-2)
        layer = torch.ops.aten.threshold_backward(layer, active, 0)
        product = torch.cat([layer, logit * sums, logit], -1)
        vectors, scalars = _extended(weight, linear, shape)
        # The machine's gradient of a vector is the sum of all vectors less itself; of a first-order weight it is 1.
        into = (product @ vectors).addcmul_(flat, logit, value=-1).unflatten(-1, shape)
        into[..., -1].addcmul_(fields[..., -1], logit)
        own = (layer.mT @ flat).unflatten(-1, shape)[..., :-1].flatten(-2)
        whole = torch.cat([own, layer.mT @ numbers], -1)
        return whole, layer.sum(-2), logit.mT @ numbers, into, product @ scalars if ctx.needs_input_grad[4] else None

    @staticmethod
    def vmap(info: object, in_dims: tuple, *tensors: Tensor) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        return Factorize.apply(*members_first(info.batch_size, in_dims, tensors)), (0, 0, 0)


def _extended(weight: Tensor, linear: Tensor, shape: torch.Size) -> tuple[Tensor, Tensor]:
    """The layer's matrix above the rows that sum, for fields and for numbers: `[*members, outputs + width + 1, ...]`."""
    count, width = shape[0], shape[1] - 1
    *members, outputs, _ = weight.shape
    fields, numbers = weight.split([count * width, linear.shape[-1]], -1)
    vectors = weight.new_zeros(*members, outputs + width + 1, count, width + 1)
    vectors[..., :outputs, :, :width] = fields.unflatten(-1, (count, width))
    vectors[..., outputs:-1, :, :-1] = torch.eye(width, dtype=weight.dtype, device=weight.device).unsqueeze(-2)
    vectors[..., -1, :, -1] = 1
    nothing = linear.new_zeros(*members, width, linear.shape[-1])
    return vectors.flatten(-2), torch.cat([numbers, nothing, linear], -2)


class FactorizationMachine(nn.Module):
    """First-order weights and all pairwise products of fields, and beside it one linear layer with ReLU.

    A field's vector ends with its first-order weight, which the layer does not see; numbers have first-order weights
    and go into the layer, but into no product.

    Rendle, Factorization Machines, ICDM 2010, equation 1 and lemma 3.1. That a deep network reads the same vectors is
    DeepFM's (Guo et al., 2017); to compute both by one matrix product is ours.

    Args:
        fields: number of fields.
        width: numbers of one field's vector, without its first-order weight.
        numbers: number of numeric inputs.
        outputs: width of the linear layer.
    """

    def __init__(self, fields: int, width: int, numbers: int, outputs: int) -> None:
        super().__init__()
        self.layer = nn.Linear(fields * width + numbers, outputs)
        self.linear = nn.Parameter(torch.zeros(1, numbers))

    def forward(
        self, fields: Float[Tensor, "rows fields width_and_one"], numbers: Float[Tensor, "rows numbers"]
    ) -> tuple[Float[Tensor, "rows outputs"], Float[Tensor, "rows 1"]]:
        """What the layer gives, and the log-odds of the machine."""
        layer, logit, _ = Factorize.apply(self.layer.weight, self.layer.bias, self.linear, fields, numbers)
        return layer, logit
