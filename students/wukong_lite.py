"""WukongLite: one or two stacked factorization machines, small enough to be served.

Zhang et al., Wukong: Towards a Scaling Law for Large-Scale Recommendation, ICML 2024 (with one projection for all rows,
as in the open codes).
"""

from pydantic import Field, PositiveInt
from torch import nn

from distill.layers import MLP, FieldEmbedding, Interactions, Linear, Tokens, WukongLayer
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction, Settings


class WukongLite(Ranker):
    """A student of the same make as the teacher `Wukong`; histories are read by their mean."""

    class Config(Settings):
        """What a recipe may set of a WukongLite."""

        embedding: int = Field(default=8, ge=1)
        """Width of every vector."""
        layers: int = Field(default=1, ge=1)
        """Number of layers; each doubles the order of the products that it can express."""
        factored: int = Field(default=4, ge=1)
        """Vectors that each layer makes of pairwise products."""
        compressed: int = Field(default=4, ge=1)
        """Vectors that each layer makes of plain linear combinations."""
        rank: int = Field(default=4, ge=1)
        """Columns to which the products are compressed."""
        block: tuple[PositiveInt, ...] = Field(default=(32,), min_length=1)
        """Width of each hidden layer of a layer's perceptron."""
        hidden: tuple[PositiveInt, ...] = Field(default=(32,), min_length=1)
        """Width of each hidden layer above the stack; the last one is the representation."""
        dropout: float = Field(default=0.0, ge=0, lt=1)
        """Share of the hidden units above the stack dropped while training."""

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        width, count = config.embedding, config.factored + config.compressed
        self.embedding = FieldEmbedding(schema, width)
        self.tokens = Tokens(self.embedding, width, ())
        widths = [self.tokens.count, *[count] * (config.layers - 1)]
        stack = [
            WukongLayer(inputs, width, config.factored, config.compressed, config.rank, config.block)
            for inputs in widths
        ]
        self.stack = Interactions(stack, width)
        self.mlp = MLP(count * width, config.hidden, config.dropout)
        self.head = Linear(self.mlp.width, len(schema.tasks))
        nn.init.zeros_(self.head.bias)

    def forward(self, features: Features) -> Prediction:
        tokens = self.tokens(*self.embedding.vectors(features), ())
        representation = self.mlp(self.stack(tokens).flatten(-2))
        return Prediction(self.head(representation), representation)
