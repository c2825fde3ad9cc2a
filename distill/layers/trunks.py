"""Trunks: perceptrons that serve all verticals, by the name of what a vertical changes in them."""

from collections.abc import Sequence
from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor, nn

from distill.layers.mlp import MLP
from distill.layers.partitioned import PartitionedMLP
from distill.layers.personalization import PersonalizedMLP
from distill.layers.star import StarMLP
from distill.layers.towers import VerticalTowers

Form = Literal["shared", "pln", "star", "pepnet", "towers"]
"""What a vertical changes: nothing, scale and shift of each norm, every weight, inputs and hidden units by gates, or a
tower beside a shared one."""


class SharedMLP(MLP):
    """A perceptron that is the same for every vertical."""

    def forward(
        self, inputs: Float[Tensor, "*members rows inputs"], vertical: Int[Tensor, "*members rows"]
    ) -> Float[Tensor, "*members rows {self.width}"]:
        del vertical
        return super().forward(inputs)


def trunk(form: Form, inputs: int, hidden: Sequence[int], count: int, prior: int) -> nn.Module:
    """A perceptron `(inputs, vertical) -> [rows, hidden[-1]]`.

    Args:
        form: what a vertical changes.
        inputs: width of what comes in.
        hidden: width of each layer.
        count: number of verticals.
        prior: width of a vertical's embedding where gates need one.
    """
    if form == "shared":
        return SharedMLP(inputs, hidden)
    if form == "pepnet":
        return PersonalizedMLP(inputs, hidden, count, prior)
    return {"pln": PartitionedMLP, "star": StarMLP, "towers": VerticalTowers}[form](inputs, hidden, count)
