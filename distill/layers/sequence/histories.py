"""HistoryTowers: a sequence tower for each history of a schema."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from distill.errors import Fault, RecipeError
from distill.layers.embedding import Embedded
from distill.layers.sequence.settings import SequenceSettings
from distill.layers.sequence.tower import SequenceTower
from distill.types import Features, FeatureSchema, SequenceField


class HistoryTowers(nn.Module):
    """What each history of a schema says of the candidate.

    Args:
        schema: what the ranker sees.
        embedding: width of one embedding.
        context: width of what else is known of the row, such as the embedding of its vertical.
        settings: of the towers.

    Raises:
        RecipeError: a bias by time is asked for, and a history has no times.
    """

    def __init__(self, schema: FeatureSchema, embedding: int, context: int, settings: SequenceSettings) -> None:
        super().__init__()
        histories = [field for field in schema.sequences if field.ordered]
        _check_times(histories, settings)
        self.towers = nn.ModuleList(_HistoryTower(schema, field, embedding, context, settings) for field in histories)
        self.width = sum(one.tower.width for one in self.towers)

    def forward(
        self, features: Features, embedded: Embedded, context: Float[Tensor, "rows context"]
    ) -> list[Float[Tensor, "rows _"]]:
        """One vector for each history."""
        return [tower(features, embedded, context) for tower in self.towers]


class _HistoryTower(nn.Module):
    """One history, its candidate, and the tower that reads both.

    An event and the candidate are projected by the same matrix, column by column: the candidate's own categorical
    features stand where the events' columns of the same table do, and nothing where there is none. The candidate also
    brings the context, and all categorical features where it shares no table with the history.
    """

    def __init__(
        self, schema: FeatureSchema, field: SequenceField, embedding: int, context: int, settings: SequenceSettings
    ) -> None:
        super().__init__()
        self.field = field
        places = {name: place for place, name in enumerate(schema.categorical)}
        self.columns = [places.get(table) for table in field.tables]
        self.others = [] if any(place is not None for place in self.columns) else list(places.values())
        self.event = nn.Linear(embedding * len(field.tables), settings.width)
        self.candidate = nn.Linear(context + embedding * len(self.others), settings.width)
        self.tower = SequenceTower(_resolved(settings, field), field.length)

    def forward(self, features: Features, embedded: Embedded, context: Tensor) -> Tensor:
        name, fields = self.field.name, embedded.fields
        gaps = features.sequences[name][..., -1] if self.field.times else None
        absent = torch.zeros_like(embedded.steps[name][..., 0, : embedded.steps[name].shape[-1] // len(self.columns)])
        own = [absent if place is None else fields[..., place, :] for place in self.columns]
        rest = torch.cat([context, *(fields[..., place, :] for place in self.others)], -1)
        candidate = self.event(torch.cat(own, -1)) + self.candidate(rest)
        return self.tower(embedded.present[name], self.event(embedded.steps[name]), gaps, candidate)


def _resolved(settings: SequenceSettings, field: SequenceField) -> SequenceSettings:
    """Settings whose bias is named: by time as well where the history has times."""
    if settings.bias is not None:
        return settings
    return settings.model_copy(update={"bias": "position_time" if field.times else "position"})


def _check_times(histories: list[SequenceField], settings: SequenceSettings) -> None:
    timeless = [field.name for field in histories if not field.times]
    if settings.bias == "position_time" and timeless:
        raise RecipeError(
            *(
                Fault(
                    f"data.features.{name}",
                    "is read with `bias: position_time`, but its events have no times.",
                    "Name the column of their times in `times`, or take `bias: position`.",
                )
                for name in timeless
            )
        )
