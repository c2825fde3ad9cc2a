"""Hiding: ids of training rows taken for unseen, so that the embedding of the unseen learns what it stands for."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from distill.data.layout import IDS, of_kind
from distill.data.settings import Categorical, Feature
from distill.data.settings import Sequence as History
from distill.fingerprint import derived_seed
from distill.types import PAD, UNSEEN, Features


class Hiding(NamedTuple):
    """At which rates ids are hidden in training.

    Attributes:
        categorical: of each categorical feature.
        sequences: of each column of those histories in which any is hidden.
    """

    categorical: Float[Tensor, " fields"]
    sequences: dict[str, Float[Tensor, " columns"]]

    @classmethod
    def of(cls, features: Mapping[str, Feature]) -> "Hiding":
        """As the features' settings say."""
        ids = (features[name] for name in of_kind(features, *IDS))
        histories = {name: one for name, one in features.items() if isinstance(one, History) and any(one.hide.values())}
        return cls(
            torch.tensor([one.hide if isinstance(one, Categorical) else 0.0 for one in ids]),
            {name: _rates(one) for name, one in histories.items()},
        )

    @property
    def any(self) -> bool:
        """Whether there is anything to hide."""
        return bool(self.sequences) or bool(self.categorical.any())

    def apply(self, features: Features, seeds: Sequence[int], step: int, rows: int, own: slice) -> Features:
        """The features of one step, with some ids hidden: the same however many processes share the step.

        Args:
            features: of our part of the step's rows, `[members, ...]`.
            seeds: the members' seeds.
            step: its number.
            rows: number of rows of the whole step.
            own: which of them are ours.
        """
        ids, histories = features.categorical, features.sequences
        mask = hidden(self.categorical, seeds, (rows,), step)[:, own]
        shown = {
            name: _without(histories[name], hidden(rates, seeds, (rows, histories[name].shape[-2]), name, step)[:, own])
            for name, rates in self.sequences.items()
        }
        return features._replace(categorical=ids.masked_fill(mask.to(ids.device), UNSEEN), sequences=histories | shown)


def hidden(
    rates: Float[Tensor, " fields"], seeds: Sequence[int], shape: tuple[int, ...], *words: str | int
) -> Bool[Tensor, "members *shape fields"]:
    """Which ids are hidden: drawn at each field's rate, from the member's seed and the words alone."""
    draws = [
        torch.rand(*shape, len(rates), generator=torch.Generator().manual_seed(derived_seed(seed, "hide", *words)))
        for seed in seeds
    ]
    return torch.stack(draws) < rates


def _without(
    events: Int[Tensor, "members rows steps columns"], mask: Bool[Tensor, "members rows steps columns"]
) -> Int[Tensor, "members rows steps columns"]:
    return events.masked_fill(mask.to(events.device) & (events != PAD), UNSEEN)


def _rates(history: History) -> Float[Tensor, " columns"]:
    """Of the columns in their order; gaps in time, which come last, are never hidden."""
    return torch.tensor([history.hide.get(name, 0.0) for name in history.columns] + [0.0] * (history.times is not None))
