"""Low rank: layers that keep the weight they were given and learn a small difference from it.

A student that begins as a copy of its domain model has few rows to learn from, and the copy many weights. Here the copy
stays as it is, and each linear layer learns the difference of a matrix of low rank, and its bias. What is served is the
sum, in the student's own shape.

References:
    Hu et al.: LoRA: Low-Rank Adaptation of Large Language Models, 2021.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from distill.errors import Fault, RecipeError
from distill.layers import Linear
from distill.layers.linear import Affine
from distill.layers.stacking import applied

FROZEN, UP, DOWN = "frozen", "up", "down"
"""Names of the weight that stays, and of the two factors of the difference."""


class LowRank(nn.Module):
    """A linear layer with the weight `frozen + up @ down`, of which only the factors and the bias learn.

    `up` is zero at first, so that the layer begins as it was.

    Args:
        linear: as it was.
        rank: of the difference.
    """

    def __init__(self, linear: Linear, rank: int) -> None:
        super().__init__()
        outputs, inputs = linear.weight.shape
        self.relu = linear.relu
        self.register_buffer(FROZEN, linear.weight.detach())
        self.up = nn.Parameter(torch.zeros(outputs, rank))
        self.down = nn.Parameter(torch.randn(rank, inputs) / inputs**0.5)
        if isinstance(linear.bias, nn.Parameter):
            self.bias = linear.bias
        else:
            self.register_buffer("bias", linear.bias, persistent=False)

    @property
    def weight(self) -> Float[Tensor, "*members outputs inputs"]:
        """What the layer multiplies by."""
        return self.frozen + self.up @ self.down

    def forward(self, *pieces: Float[Tensor, "*members rows _"]) -> Float[Tensor, "*members rows _"]:
        return applied(Affine, self.relu, self.weight, self.bias, *pieces)


def lowered(ranker: nn.Module, rank: int) -> None:
    """Freezes a ranker but for differences of low rank and the biases of its linear layers.

    Args:
        ranker: changed in place.
        rank: of each difference.

    Raises:
        RecipeError: it has no linear layer of ours, or none that such a difference would be smaller than.
    """
    layers = {name: one for name, one in ranker.named_modules() if type(one) is Linear}
    if not layers:
        what = f"{type(ranker).__name__} has no Linear of distill.layers, so there is nothing that could learn."
        raise RecipeError(Fault("students.distill.sharing.rank", what, "Leave it out, or name another class."))
    most = max(min(one.weight.shape) for one in layers.values())
    if rank > most:
        name = type(ranker).__name__
        what = f"{rank:,} is more than any difference of {name} can have, whose largest layer allows {most:,}."
        raise RecipeError(Fault("students.distill.sharing.rank", what, "Take a smaller one: 1 to 8 are usual."))
    changed = {name: LowRank(one, rank) for name, one in layers.items()}
    for one in ranker.modules():
        for name, weight in list(one._parameters.items()):
            if weight is not None:
                del one._parameters[name]
                one.register_buffer(name, weight.detach())
    for name, one in changed.items():
        ranker.set_submodule(name, one)


def merged(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a ranker as it was written: each difference added to what it is a difference from.

    Example:
        >>> ones = torch.ones(2, 2)
        >>> merged({"head.frozen": ones, "head.up": ones[:, :1], "head.down": ones[:1]})["head.weight"].tolist()
        [[2.0, 2.0], [2.0, 2.0]]
    """
    layers = [name.removesuffix(FROZEN) for name in state if name.endswith(f".{FROZEN}") or name == FROZEN]
    factors = {f"{layer}{name}" for layer in layers for name in (FROZEN, UP, DOWN)}
    sums = {f"{one}weight": state[f"{one}{FROZEN}"] + state[f"{one}{UP}"] @ state[f"{one}{DOWN}"] for one in layers}
    return {name: tensor for name, tensor in state.items() if name not in factors} | sums
