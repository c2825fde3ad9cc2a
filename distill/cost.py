"""Cost: how large a ranker is, and what one impression takes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch._ops import OpOverload
from torch.func import vmap
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.flop_counter import FlopCounterMode

from distill.layers import FieldEmbedding, VerticalCrosses
from distill.ranker import Ranker
from distill.testing import example_features
from distill.types import FeatureSchema

OPTIMIZER_COPIES = 4
"""Tensors the size of the weights while training: weights, gradients, and Adam's two moments."""


class Cost(NamedTuple):
    """What a ranker takes.

    Attributes:
        dense: parameters that every impression uses.
        sparse: parameters in tables of embeddings, of which an impression reads a few rows.
        flops: floating-point operations of one impression's score, matrix products alone, histories at full length.
        memory: bytes of the weights and of what an optimizer keeps of them; activations come on top.
        activations: bytes of all that one impression's forward pass computes, the most that a backward pass can want.
        width: numbers of one embedding; of the widest, where there are several.
    """

    dense: int
    sparse: int
    flops: int
    memory: int
    activations: int
    width: int


@torch.no_grad()
def cost(build: Callable[[], Ranker], schema: FeatureSchema) -> Cost:
    """The cost of a ranker, counted on the meta device: nothing of its size is ever allocated.

    Args:
        build: makes the ranker.
        schema: what it sees.
    """
    with torch.device("meta"):
        ranker = build().eval().requires_grad_(False)
    rows = example_features(schema, 1, torch.Generator().manual_seed(0))
    member = tree_map(lambda tensor: tensor.to("meta").unsqueeze(0), rows)
    # Products that our layers add up in place; torch counts only their relatives that do not.
    in_place = {torch.ops.aten.addmm_: _product, torch.ops.aten.baddbmm_: _product}
    with FlopCounterMode(display=False, custom_mapping=in_place) as counter, Results() as results:
        vmap(ranker)(member)  # Mapped, no shape depends on data, of which the meta device has none.
    tables = [module.weight for module in ranker.modules() if isinstance(module, FieldEmbedding | VerticalCrosses)]
    sparse, weights = sum(table.numel() for table in tables), list(ranker.parameters())
    return Cost(
        dense=sum(weight.numel() for weight in weights) - sparse,
        sparse=sparse,
        flops=counter.get_total_flops(),
        memory=OPTIMIZER_COPIES * sum(weight.numel() * weight.element_size() for weight in weights),
        activations=results.bytes,
        width=max((table.shape[-1] for table in tables), default=0),
    )


class Results(TorchDispatchMode):
    """Counts the bytes of floating-point numbers that operations compute; views compute none.

    Attributes:
        bytes: so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(
        self, operation: OpOverload, types: tuple[type, ...], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        found = operation(*args, **(kwargs or {}))
        if not operation.is_view and not operation._schema.is_mutable:
            results = [one for one in tree_leaves(found) if isinstance(one, torch.Tensor) and one.is_floating_point()]
            self.bytes += sum(one.numel() * one.element_size() for one in results)
        return found


def _product(total: torch.Size, one: torch.Size, other: torch.Size, out_shape: torch.Size) -> int:
    """Operations of a product of matrices, or of a stack of them."""
    return 2 * one.numel() * other[-1]
