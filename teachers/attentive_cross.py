"""AttentiveCross: histories read with the candidate in mind, crossed with every other feature, told apart by vertical.

Zhou et al., Deep Interest Network for Click-Through Rate Prediction, KDD 2018 (attention of the candidate);
Wang et al., DCN V2: Improved Deep & Cross Network, WWW 2021 (cross network beside a perceptron);
Chang et al., PEPNet: Parameter and Embedding Personalized Network, KDD 2023 (gates of 2 sigmoid by domain).
"""

import torch
from pydantic import Field, PositiveInt
from torch import nn

from distill.layers import MLP, CandidateAttention, Cross, FieldEmbedding, Verticals
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction, Settings


class AttentiveCross(Ranker):
    """A teacher of many verticals: what it learns in one, it uses in the others.

    Each history is read twice: its mean says who the user is, and attention says what of it bears on the candidate.
    """

    class Config(Settings):
        """What a recipe may set of an AttentiveCross."""

        embedding: int = Field(default=16, ge=1)
        """Width of one embedding, and of a vertical's."""
        heads: int = Field(default=4, ge=1)
        """Heads of the attention to each history."""
        cross_layers: int = Field(default=2, ge=1)
        """Number of cross layers; each adds one degree of interaction."""
        hidden: tuple[PositiveInt, ...] = Field(default=(128, 64), min_length=1)
        """Width of each hidden layer of the perceptron."""
        dropout: float = Field(default=0.0, ge=0, lt=1)
        """Share of the perceptron's hidden units dropped while training."""
        representation: int = Field(default=32, ge=1)
        """Width of the representation, from which students may learn."""

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        self.embedding = FieldEmbedding(schema, config.embedding)
        self.attention = CandidateAttention(schema, config.embedding, config.heads, config.embedding)
        width = self.embedding.width + config.embedding + self.attention.width
        self.verticals = Verticals(schema.verticals, config.embedding, width, len(schema.tasks))
        self.cross = Cross(width, config.cross_layers)
        self.mlp = MLP(width, config.hidden, config.dropout)
        self.representation = nn.Linear(self.cross.width + self.mlp.width, config.representation)
        self.head = nn.Linear(config.representation, len(schema.tasks))
        nn.init.zeros_(self.head.bias)

    def forward(self, features: Features) -> Prediction:
        embedded = self.embedding.embed(features)
        vertical, gate, bias = self.verticals(features.vertical)
        inputs = torch.cat([self.embedding.flat(embedded), vertical, *self.attention(embedded, vertical)], -1)
        inputs = inputs * gate
        representation = self.representation(torch.cat([self.cross(inputs), self.mlp(inputs)], -1))
        return Prediction(self.head(representation) + bias, representation)
