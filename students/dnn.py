"""DNN: embeddings into a multi-layer perceptron.

Covington, Adams and Sargin, Deep Neural Networks for YouTube Recommendations, RecSys 2016 (the ranking network).
"""

from pydantic import Field, PositiveInt
from torch import nn

from distill.layers import MLP, FieldEmbedding, Linear
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction, Settings


class DNN(Ranker):
    """The plain student: every feature side by side, a few hidden layers, one logit a task."""

    class Config(Settings):
        """What a recipe may set of a DNN."""

        embedding: int = Field(default=8, ge=1)
        """Width of one embedding."""
        hidden: tuple[PositiveInt, ...] = Field(default=(64, 32), min_length=1)
        """Width of each hidden layer; the last one is the representation."""
        dropout: float = Field(default=0.0, ge=0, lt=1)
        """Share of the hidden units dropped while training."""
        batch_norm: bool = False
        """Whether hidden units are normalised over the rows of a step, before their ReLU."""

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        self.embedding = FieldEmbedding(schema, config.embedding)
        self.mlp = MLP(self.embedding.width, config.hidden, config.dropout, batch_norm=config.batch_norm)
        self.head = Linear(self.mlp.width, len(schema.tasks))
        nn.init.zeros_(self.head.bias)

    def forward(self, features: Features) -> Prediction:
        fields, numbers = self.embedding.vectors(features)
        representation = self.mlp(fields.flatten(-2), numbers)
        return Prediction(self.head(representation), representation)
