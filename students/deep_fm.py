"""DeepFM: a factorization machine and a deep network on the same embeddings.

Guo, Tang, Ye, Li and He, DeepFM: A Factorization-Machine based Neural Network for CTR Prediction, IJCAI 2017.
"""

from pydantic import Field, PositiveInt
from torch import nn

from distill.layers import MLP, Dropout, FactorizationMachine, FieldEmbedding, Linear
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction, Settings


class DeepFM(Ranker):
    """Single features by a weight, pairs by a product, all else by a perceptron; tasks share the first two."""

    class Config(Settings):
        """What a recipe may set of a DeepFM."""

        embedding: int = Field(default=8, ge=1)
        """Width of one embedding."""
        hidden: tuple[PositiveInt, ...] = Field(default=(64, 32), min_length=1)
        """Width of each hidden layer; the last one is the representation."""
        dropout: float = Field(default=0.0, ge=0, lt=1)
        """Share of the hidden units dropped while training."""

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        first, *rest = config.hidden
        self.first_order = FieldEmbedding(schema, 1)
        nn.init.zeros_(self.first_order.weight)
        self.linear = Linear(self.first_order.numbers, 1)
        self.embedding = FieldEmbedding(schema, config.embedding)
        self.pairs = FactorizationMachine(self.embedding.fields, config.embedding, self.embedding.numbers, first)
        self.dropout = Dropout(config.dropout, salt=1000)
        self.mlp = MLP(first, rest, config.dropout)
        self.head = Linear(self.mlp.width, len(schema.tasks))
        nn.init.zeros_(self.head.bias)

    def forward(self, features: Features) -> Prediction:
        weights, numbers = self.first_order.vectors(features)
        fields, _ = self.embedding.vectors(features)
        layer, pairs = self.pairs(fields, numbers)
        representation = self.mlp(self.dropout(layer))
        single = weights.sum(-2) + self.linear(numbers)
        return Prediction(self.head(representation) + pairs + single, representation)
