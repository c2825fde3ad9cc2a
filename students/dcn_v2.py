"""DCN V2: explicit feature crosses beside a multi-layer perceptron.

Wang, Shivanna, Cheng, Jain, Lin, Hong and Chi, DCN V2: Improved Deep & Cross Network and Practical Lessons for
Web-scale Learning to Rank Systems, WWW 2021 (the parallel structure, with full matrices).
"""

import torch
from pydantic import Field, PositiveInt
from torch import nn

from distill.layers import MLP, Cross, FieldEmbedding, Linear
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction, Settings


class DCNv2(Ranker):
    """A student that multiplies features with one another by construction, not by luck of its hidden layers."""

    class Config(Settings):
        """What a recipe may set of a DCN V2."""

        embedding: int = Field(default=8, ge=1)
        """Width of one embedding."""
        cross_layers: int = Field(default=2, ge=1)
        """Number of cross layers; each adds one degree of interaction."""
        hidden: tuple[PositiveInt, ...] = Field(default=(64, 32), min_length=1)
        """Width of each hidden layer of the perceptron."""
        dropout: float = Field(default=0.0, ge=0, lt=1)
        """Share of the perceptron's hidden units dropped while training."""

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        self.embedding = FieldEmbedding(schema, config.embedding)
        self.cross = Cross(self.embedding.width, config.cross_layers)
        self.mlp = MLP(self.embedding.width, config.hidden, config.dropout)
        self.head = Linear(self.cross.width + self.mlp.width, len(schema.tasks))
        nn.init.zeros_(self.head.bias)

    def forward(self, features: Features) -> Prediction:
        inputs = self.embedding(features)
        representation = torch.cat([self.cross(inputs), self.mlp(inputs)], -1)
        return Prediction(self.head(representation), representation)
