"""Sizes: how large a ranker is, whoever computes it, and how."""

from torch import nn

from distill.ranker import Ranker


def products(ranker: Ranker) -> list[tuple[int, int]]:
    """Outputs and inputs of each of its linear layers."""
    return [(layer.out_features, layer.in_features) for layer in ranker.modules() if isinstance(layer, nn.Linear)]


def multiplications(ranker: Ranker) -> int:
    """Multiplications of its linear layers for one row, forwards."""
    return sum(outputs * inputs for outputs, inputs in products(ranker))
