"""DeepFM: a factorization machine and a deep network on the same embeddings.

Guo, Tang, Ye, Li and He, DeepFM: A Factorization-Machine based Neural Network for CTR Prediction, IJCAI 2017.
"""

from pydantic import Field, PositiveInt
from torch import nn

from distill.layers import MLP, Dropout, FactorizationMachine, FieldEmbedding, Linear
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction, Settings


class DeepFM(Ranker):
    """Pairs of features by their product, everything else by a perceptron; of several tasks, all share the pairs."""

    class Config(Settings):
        """What a recipe may set of a DeepFM."""

        embedding: int = Field(default=8, ge=1)
        """Width of one embedding, without its first-order weight."""
        hidden: tuple[PositiveInt, ...] = Field(default=(64, 32), min_length=1)
        """Width of each hidden layer; the last one is the representation."""
        dropout: float = Field(default=0.0, ge=0, lt=1)
        """Share of the hidden units dropped while training."""

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        first, *rest = config.hidden
        self.embedding = FieldEmbedding(schema, config.embedding + 1)
        self.machine = FactorizationMachine(self.embedding.fields, config.embedding, self.embedding.numbers, first)
        self.dropout = Dropout(config.dropout, salt=1)
        self.mlp = MLP(first, rest, config.dropout)
        self.head = Linear(self.mlp.width, len(schema.tasks))
        nn.init.zeros_(self.head.bias)

    def forward(self, features: Features) -> Prediction:
        layer, pairs = self.machine(*self.embedding.vectors(features))
        representation = self.mlp(self.dropout(layer))
        return Prediction(self.head(representation) + pairs, representation)
