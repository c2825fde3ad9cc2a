"""Trial: one ranker on one kind of features, and what a check does to it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from distill.ranker import Ranker
from distill.testing.examples import example_features
from distill.types import PAD, Features, FeatureSchema, Prediction, Settings

ROWS = 24
"""Rows of a test batch: enough for some to have no history, and some a full one."""


class Trial(NamedTuple):
    """A ranker to be checked on one kind of features."""

    model: type[Ranker]
    config: Settings
    schema: FeatureSchema

    def build(self, seed: int = 0) -> Ranker:
        """A fresh ranker in fp64, and in training mode."""
        with seeded(seed):
            return self.model(self.schema, self.config).double()

    def features(self, seed: int = 0) -> Features:
        """A batch for it, in fp64."""
        return cast(example_features(self.schema, ROWS, torch.Generator().manual_seed(seed)), torch.float64)

    def taller(self, rows: int) -> "Trial":
        """The same, with so many more ids in every table."""
        tables = {name: height + rows for name, height in self.schema.tables.items()}
        return self._replace(schema=replace(self.schema, tables=tables))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Sets torch's global generator for a while."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def cast(tree: Any, dtype: torch.dtype) -> Any:
    """A tree of tensors with its numbers, not its ids, in another precision."""
    return tree_map(lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor, tree)


def take(tree: Any, index: Any) -> Any:
    """Some rows, or one member, of every tensor."""
    return tree_map(lambda tensor: tensor[index], tree)


def filled(
    features: Features, *, categorical: int | None = None, step: int | None = None, number: float | None = None
) -> Features:
    """The same rows with one id in every categorical column, in every step that there is, or one number everywhere.

    With `PAD` as the step, histories and sets become empty.
    """
    if categorical is not None:
        features = features._replace(categorical=torch.full_like(features.categorical, categorical))
    if step is not None:
        steps = {name: ids.where(ids == PAD, step) for name, ids in features.sequences.items()}
        features = features._replace(sequences=steps)
    if number is not None:
        vectors = {name: torch.full_like(vector, number) for name, vector in features.vectors.items()}
        features = features._replace(numeric=torch.full_like(features.numeric, number), vectors=vectors)
    return features


def distance(one: Iterable[Tensor], other: Iterable[Tensor]) -> float:
    """Largest difference between tensors of the same shapes; infinite where one of them is not a number."""
    gaps = [(a.double() - b.double()).abs() for a, b in zip(one, other, strict=True)]
    return max((gap.nan_to_num(nan=torch.inf).max().item() for gap in gaps if gap.numel()), default=0.0)


def descend(module: nn.Module, prediction: Prediction) -> None:
    """One step of gradient descent on a loss in which every row and task has its own slope."""
    loss(prediction).backward()
    torch.optim.SGD(module.parameters(), lr=0.1).step()


def loss(prediction: Prediction) -> Tensor:
    """A sum over rows, as a fleet needs it, of something that is nowhere flat but at one logit."""
    return (prediction.logit + 1).square().sum()


def set_clock(ranker: nn.Module, clock: Tensor) -> None:
    """Tells every random layer the seed and the step."""
    for name, buffer in ranker.named_buffers():
        if name.rpartition(".")[2] == "clock":
            buffer.copy_(clock)
