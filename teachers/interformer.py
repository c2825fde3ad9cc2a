"""InterFormer: histories at full length and crossed features, each rewritten in the light of the other.

Zeng et al., InterFormer: Effective Heterogeneous Interaction Learning for Click-Through Rate Prediction, 2024.
"""

from typing import Literal

from pydantic import Field, PositiveInt
from torch import nn

from distill.layers import (
    MLP,
    RECENT,
    Attending,
    CandidateAttention,
    Cross,
    FieldEmbedding,
    FlatInteraction,
    Interactions,
    MaskNet,
    Steps,
    Tokens,
    VerticalTable,
    ordered,
    summarised,
)
from distill.layers import InterFormer as Stack
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction, Settings


class InterFormer(Ranker):
    """A teacher for long histories: nothing of them is pooled away before it has met the features."""

    class Config(Settings):
        """What a recipe may set of an InterFormer."""

        embedding: int = Field(default=16, ge=1)
        """Width of every vector; a multiple of `heads`."""
        heads: int = Field(default=4, ge=1)
        """Heads of every attention."""
        layers: int = Field(default=2, ge=1)
        """Number of layers."""
        tokens: int = Field(default=8, ge=1)
        """Vectors that each layer's interaction gives."""
        interaction: Literal["cross", "masknet"] = "cross"
        """How features are crossed: by a cross layer of DCN V2, or by a mask block of MaskNet."""
        top: tuple[PositiveInt, ...] = Field(default=(128, 64), min_length=1)
        """Width of each hidden layer above the stack; the last one is the representation."""

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        width = config.embedding
        self.embedding = FieldEmbedding(schema, width)
        self.vertical = VerticalTable(schema.verticals, width, spread=0.1)
        self.attention = CandidateAttention(schema, width, config.heads, width)
        self.tokens = Tokens(self.embedding, width, [width, *self.attention.widths])
        self.steps = Steps(schema, width) if ordered(schema) else None
        newest = self.steps.newest(RECENT) if self.steps else []
        counts = [self.tokens.count, *[config.tokens] * (config.layers - 1)]
        beside = summarised(newest) if self.steps else 0
        self.stack = Interactions([_interaction(count + beside, config) for count in counts], width)
        if self.steps:
            blocks = [Attending(width, config.heads) for _ in counts[1:]]
            self.stack = Stack(self.stack, counts, blocks, newest, width, config.heads)
        self.top = MLP(config.tokens * width, config.top)
        self.head = nn.Linear(self.top.width, len(schema.tasks))
        self.bias = VerticalTable(schema.verticals, len(schema.tasks))
        nn.init.zeros_(self.head.bias)

    def forward(self, features: Features) -> Prediction:
        embedded, own = self.embedding.embed(features), self.vertical(features.vertical)
        known = [own, *self.attention(embedded, own)]
        tokens = self.tokens(self.embedding.pooled(embedded), embedded.numbers, known)
        steps = self.steps(embedded) if self.steps else ()
        representation = self.top(self.stack(tokens, *steps).flatten(-2))
        return Prediction(self.head(representation) + self.bias(features.vertical), representation)


def _interaction(inputs: int, config: InterFormer.Config) -> FlatInteraction:
    """One layer that crosses so many vectors."""
    flat = inputs * config.embedding
    cross = Cross(flat, 1) if config.interaction == "cross" else MaskNet(flat, (config.tokens * config.embedding,))
    return FlatInteraction(cross, config.tokens, config.embedding)
