"""DeepFM: a factorization machine and a deep network on the same embeddings.

Guo, Tang, Ye, Li and He, DeepFM: A Factorization-Machine based Neural Network for CTR Prediction, IJCAI 2017.
"""

from pydantic import Field, PositiveInt
from torch import nn

from distill.layers import MLP, BatchNormReLU, Dropout, FactorizationMachine, FieldEmbedding, Linear
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
        batch_norm: bool = False
        """Whether hidden units are normalised over the rows of a step, before their ReLU."""

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        first, *rest = config.hidden
        self.first_order = FieldEmbedding(schema, 1)
        nn.init.zeros_(self.first_order.weight)
        self.linear = Linear(self.first_order.numbers, 1)
        self.embedding = FieldEmbedding(schema, config.embedding)
        fields, numbers = self.embedding.fields, self.embedding.numbers
        self.pairs = FactorizationMachine(fields, config.embedding, numbers, first, bare=config.batch_norm)
        self.norm = BatchNormReLU(first) if config.batch_norm else nn.Identity()
        self.dropout = Dropout(config.dropout, salt=1000)
        self.mlp = MLP(first, rest, config.dropout, batch_norm=config.batch_norm)
        self.head = Linear(self.mlp.width, len(schema.tasks))
        nn.init.zeros_(self.head.bias)

    def forward(self, features: Features) -> Prediction:
        weights, numbers = self.first_order.vectors(features)
        fields, _ = self.embedding.vectors(features)
        layer, pairs = self.pairs(fields, numbers)
        representation = self.mlp(self.dropout(self.norm(layer)))
        single = weights.sum(-2) + self.linear(numbers)
        return Prediction(self.head(representation) + pairs + single, representation)
