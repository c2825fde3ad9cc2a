"""DCN V2: explicit feature crosses beside, or below, a multi-layer perceptron.

Wang, Shivanna, Cheng, Jain, Lin, Hong and Chi, DCN V2: Improved Deep & Cross Network and Practical Lessons for
Web-scale Learning to Rank Systems, WWW 2021 (both structures, with full matrices or of low rank).
"""

from typing import Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from distill.layers import MLP, Cross, FieldEmbedding, Linear, LowRankCross
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction, Settings


class DCNv2(Ranker):
    """A student that multiplies features with one another by construction, not by luck of its hidden layers."""

    class Config(Settings):
        """What a recipe may set of a DCN V2."""

        structure: Literal["parallel", "stacked"] = "parallel"
        """Whether the perceptron stands beside the cross layers, or reads what they give."""
        embedding: int = Field(default=8, ge=1)
        """Width of one embedding."""
        cross_layers: int = Field(default=2, ge=1)
        """Number of cross layers; each adds one degree of interaction."""
        rank: int | None = Field(default=None, ge=1)
        """Rank of a cross layer's matrix; without it the matrix is full."""
        hidden: tuple[PositiveInt, ...] = Field(default=(64, 32), min_length=1)
        """Width of each hidden layer of the perceptron."""
        dropout: float = Field(default=0.0, ge=0, lt=1)
        """Share of the perceptron's hidden units dropped while training."""
        batch_norm: bool = False
        """Whether hidden units are normalised over the rows of a step, before their ReLU."""

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        self.stacked = config.structure == "stacked"
        self.embedding = FieldEmbedding(schema, config.embedding)
        width, layers = self.embedding.width, config.cross_layers
        self.cross = Cross(width, layers) if config.rank is None else LowRankCross(width, layers, config.rank)
        self.mlp = MLP(width, config.hidden, config.dropout, batch_norm=config.batch_norm)
        self.head = Linear(self.mlp.width + (0 if self.stacked else width), len(schema.tasks))
        nn.init.zeros_(self.head.bias)

    def forward(self, features: Features) -> Prediction:
        representation = self._represented(self.embedding(features))
        return Prediction(self.head(representation), representation)

    def _represented(self, inputs: Tensor) -> Tensor:
        crossed = self.cross(inputs)
        return self.mlp(crossed) if self.stacked else torch.cat([crossed, self.mlp(inputs)], -1)
