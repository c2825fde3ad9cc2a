"""Wukong: stacked factorization machines over everything that is known of an impression.

Zhang et al., Wukong: Towards a Scaling Law for Large-Scale Recommendation, ICML 2024; with `across`, the attention
across layers of Meta's GEM (Engineering at Meta, 2025-11-10).
"""

from typing import Literal

from pydantic import Field, PositiveInt
from torch import nn

from distill.layers import MLP, CandidateAttention, FieldEmbedding, Interactions, Tokens, VerticalTable, WukongLayer
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction, Settings


class Wukong(Ranker):
    """A teacher that grows by width and depth: each layer doubles the order of the products that it can express."""

    class Config(Settings):
        """What a recipe may set of a Wukong."""

        embedding: int = Field(default=16, ge=1)
        """Width of every vector."""
        heads: int = Field(default=4, ge=1)
        """Heads of the attention to each history, and of that across layers, for which they must divide the width."""
        layers: int = Field(default=2, ge=1)
        """Number of layers."""
        factored: int = Field(default=8, ge=1)
        """Vectors that each layer makes of pairwise products."""
        compressed: int = Field(default=8, ge=1)
        """Vectors that each layer makes of plain linear combinations."""
        rank: int = Field(default=8, ge=1)
        """Columns to which the products are compressed."""
        projection: Literal["static", "attentive"] = "static"
        """Whether products are compressed alike in all rows, as in the open codes, or by each row, as in the paper."""
        hidden: tuple[PositiveInt, ...] = Field(default=(64,), min_length=1)
        """Width of each hidden layer of a layer's perceptron."""
        across: bool = False
        """Whether each layer but the first also attends to all layers before it."""
        top: tuple[PositiveInt, ...] = Field(default=(128, 64), min_length=1)
        """Width of each hidden layer above the stack; the last one is the representation."""

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        self.embedding = FieldEmbedding(schema, config.embedding)
        self.vertical = VerticalTable(schema.verticals, config.embedding, spread=0.1)
        self.attention = CandidateAttention(schema, config.embedding, config.heads, config.embedding)
        self.tokens = Tokens(self.embedding, config.embedding, [config.embedding, *self.attention.widths])
        count = config.factored + config.compressed
        layers = [
            WukongLayer(
                count if place else self.tokens.count,
                config.embedding,
                config.factored,
                config.compressed,
                config.rank,
                config.hidden,
                attentive=config.projection == "attentive",
            )
            for place in range(config.layers)
        ]
        self.stack = Interactions(layers, config.embedding, config.heads if config.across else None)
        self.top = MLP(count * config.embedding, config.top)
        self.head = nn.Linear(self.top.width, len(schema.tasks))
        self.bias = VerticalTable(schema.verticals, len(schema.tasks))
        nn.init.zeros_(self.head.bias)

    def forward(self, features: Features) -> Prediction:
        embedded, own = self.embedding.embed(features), self.vertical(features.vertical)
        known = [own, *self.attention(embedded, own)]
        tokens = self.tokens(self.embedding.pooled(embedded), embedded.numbers, known)
        representation = self.top(self.stack(tokens).flatten(-2))
        return Prediction(self.head(representation) + self.bias(features.vertical), representation)
