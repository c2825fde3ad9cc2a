"""Rates: how fast members learn, in numbers that may differ between members of one stack."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor


class Rates(NamedTuple):
    """Settings of the optimizer, one number a member. Python's floats, since torch's kernels take no others.

    Attributes:
        learning_rate: at the start.
        weight_decay: decoupled (AdamW); of an embedding that is stepped row by row, only where it was read.
        beta1: share of the mean gradient that is kept.
        beta2: share of the mean squared gradient that is kept.
        l2: weight of half the squared norm of all embeddings in the loss, read or not; its gradient is l2 * embedding.
        table_rate: learning rate of embeddings, as a share of the others'; 0 keeps them as they are.
        table_pull: decoupled pull of embeddings to where they began, as weight decay pulls to zero (L2-SP).
    """

    learning_rate: Sequence[float]
    weight_decay: Sequence[float]
    beta1: Sequence[float]
    beta2: Sequence[float]
    l2: Sequence[float]
    table_rate: Sequence[float]
    table_pull: Sequence[float]

    @classmethod
    def of(cls, settings: Sequence[Mapping[str, float]]) -> "Rates":
        """From the settings of each member; embeddings learn as fast as the rest, and freely, where they do not say."""
        whole = [{"table_rate": 1.0, "table_pull": 0.0} | dict(one) for one in settings]
        return cls(*([one[name] for one in whole] for name in cls._fields))


class Step(NamedTuple):
    """What one step of one member takes."""

    learning_rate: float
    weight_decay: float
    beta1: float
    beta2: float
    l2: float
    number: Tensor
    """From 1; a tensor because torch's kernels want one."""
