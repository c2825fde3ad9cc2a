"""SequenceRanker: what the teachers have in common that read histories by a sequence tower."""

import torch
from pydantic import Field, PositiveInt
from torch import nn

from distill.layers import MLP, Cross, FieldEmbedding, Verticals
from distill.layers.sequence import HistoryTowers, SequenceSettings
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction


class SequenceRanker(Ranker):
    """A tower for each history, and what it says of the candidate crossed with every other feature, by vertical.

    Abstract: each tower of the field is a subclass that sets the defaults of its switches. Around the tower it is an
    AttentiveCross: cross network and perceptron side by side, every input gated and every logit shifted by vertical.
    """

    class Config(SequenceSettings):
        """What a recipe may set: the switches of the tower, and what stands around it."""

        embedding: int = Field(default=16, ge=1)
        """Width of one embedding, and of a vertical's."""
        cross_layers: int = Field(default=2, ge=1)
        """Number of cross layers; each adds one degree of interaction."""
        mlp: tuple[PositiveInt, ...] = Field(default=(128, 64), min_length=1)
        """Width of each hidden layer of the perceptron."""
        dropout: float = Field(default=0.0, ge=0, lt=1)
        """Share of the perceptron's hidden units dropped while training."""
        representation: int = Field(default=32, ge=1)
        """Width of the representation, from which students may learn."""

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        self.embedding = FieldEmbedding(schema, config.embedding)
        self.towers = HistoryTowers(schema, config.embedding, config.embedding, config)
        width = self.embedding.width + config.embedding + self.towers.width
        self.verticals = Verticals(schema.verticals, config.embedding, width, len(schema.tasks))
        self.cross = Cross(width, config.cross_layers)
        self.mlp = MLP(width, config.mlp, config.dropout)
        self.representation = nn.Linear(self.cross.width + self.mlp.width, config.representation)
        self.head = nn.Linear(config.representation, len(schema.tasks))
        nn.init.zeros_(self.head.bias)

    def forward(self, features: Features) -> Prediction:
        embedded = self.embedding.embed(features)
        vertical, gate, bias = self.verticals(features.vertical)
        read = self.towers(features, embedded, vertical)
        inputs = torch.cat([self.embedding.flat(embedded), vertical, *read], -1) * gate
        representation = self.representation(torch.cat([self.cross(inputs), self.mlp(inputs)], -1))
        return Prediction(self.head(representation) + bias, representation)
