"""DIN: the part of each history that has to do with the candidate.

Zhou, Zhu, Song, Fan, Zhu, Ma, Yan, Jin, Li and Gai, Deep Interest Network for Click-Through Rate Prediction, KDD 2018.
"""

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from distill.layers import MLP, ActivationUnit, Embedded, FieldEmbedding, Linear, ordered
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction, SequenceField, Settings


class DIN(Ranker):
    """A student that reads histories; a column of one is compared with the candidate's feature of the same table.

    What a history says stands beside its plain mean. One that shares no table with the candidate has its mean alone.
    """

    class Config(Settings):
        """What a recipe may set of a DIN."""

        embedding: int = Field(default=8, ge=1)
        """Width of one embedding."""
        attention: tuple[PositiveInt, ...] = Field(default=(32, 16), min_length=1)
        """Width of each hidden layer of the perceptron that compares a step with the candidate."""
        hidden: tuple[PositiveInt, ...] = Field(default=(64, 32), min_length=1)
        """Width of each hidden layer; the last one is the representation."""
        dropout: float = Field(default=0.0, ge=0, lt=1)
        """Share of the hidden units dropped while training."""

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        self.embedding = FieldEmbedding(schema, config.embedding)
        self.read = [field for field in ordered(schema) if set(field.tables) & set(schema.categorical)]
        self.columns = [[at for at, table in enumerate(f.tables) if table in schema.categorical] for f in self.read]
        self.candidates = [
            [schema.categorical.index(field.tables[at]) for at in columns]
            for field, columns in zip(self.read, self.columns, strict=True)
        ]
        self.units = nn.ModuleList(
            ActivationUnit(len(columns) * config.embedding, config.attention) for columns in self.columns
        )
        steps = sum(len(field.tables) for field in self.read) * config.embedding
        self.mlp = MLP(self.embedding.width + steps, config.hidden, config.dropout)
        self.head = Linear(self.mlp.width, len(schema.tasks))
        nn.init.zeros_(self.head.bias)

    def forward(self, features: Features) -> Prediction:
        embedded = self.embedding.embed(features)
        wanted = [self._wanted(place, field, embedded) for place, field in enumerate(self.read)]
        representation = self.mlp(torch.cat([self.embedding.flat(embedded), *wanted], -1))
        return Prediction(self.head(representation), representation)

    def _wanted(self, place: int, field: SequenceField, embedded: Embedded) -> Tensor:
        """What one history says of the candidate."""
        steps, present = embedded.steps[field.name], embedded.present[field.name]
        candidate = embedded.fields[..., self.candidates[place], :].flatten(-2)
        compared = steps.unflatten(-1, (len(field.tables), -1))[..., self.columns[place], :].flatten(-2)
        return self.units[place](candidate, compared, steps, present)
