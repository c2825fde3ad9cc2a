"""AutoAttention: which feature of the candidate may ask which column of a history is learned, pair by pair.

Zheng et al., AutoAttention: Automatic Field Pair Selection for Attention in User Behavior Modeling, ICDM 2022.
"""

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from distill.layers import MLP, Embedded, FieldEmbedding, FieldPairAttention, VerticalTable, ordered
from distill.layers.field_attention import Inner
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction, Settings


class AutoAttention(Ranker):
    """A teacher whose attention can be read: one weight for each pair of a candidate's field and a history's column.

    The vertical's embedding is one of the fields that ask, ours: a candidate without categorical features has it still.
    """

    class Config(Settings):
        """What a recipe may set of an AutoAttention."""

        embedding: int = Field(default=16, ge=1)
        """Width of one embedding, and of a vertical's."""
        inner: Inner = "none"
        """What is done to a step's sum before the softmax; `sigmoid` as released, which makes it nearly a mean."""
        sparsity: float = Field(default=0.5, ge=0, lt=1)
        """Share of the pairs that is pruned in the end."""
        hidden: tuple[PositiveInt, ...] = Field(default=(128, 64), min_length=1)
        """Width of each hidden layer; the last one is the representation."""

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        self.histories = ordered(schema)
        self.embedding = FieldEmbedding(schema, config.embedding)
        self.vertical = VerticalTable(schema.verticals, config.embedding, spread=0.1)
        queries = len(schema.categorical) + 1
        self.attention = nn.ModuleList(
            FieldPairAttention(queries, len(field.tables), config.inner, config.sparsity) for field in self.histories
        )
        columns = sum(len(field.tables) for field in self.histories)
        self.mlp = MLP(self.embedding.width + config.embedding * (1 + columns), config.hidden)
        self.head = nn.Linear(self.mlp.width, len(schema.tasks))
        self.bias = VerticalTable(schema.verticals, len(schema.tasks))
        nn.init.zeros_(self.head.bias)

    def forward(self, features: Features) -> Prediction:
        embedded, vertical = self.embedding.embed(features), self.vertical(features.vertical)
        attended = self._attended(embedded, vertical)
        representation = self.mlp(torch.cat([self.embedding.flat(embedded), vertical, *attended], -1))
        return Prediction(self.head(representation) + self.bias(features.vertical), representation)

    def _attended(self, embedded: Embedded, vertical: Tensor) -> list[Tensor]:
        """What each history says of the candidate."""
        queries, said = torch.cat([embedded.fields, vertical.unsqueeze(-2)], -2), []
        for attention, field in zip(self.attention, self.histories, strict=True):
            steps = embedded.steps[field.name].unflatten(-1, (len(field.tables), -1))
            said.append(attention(queries, steps, embedded.present[field.name]).flatten(-2))
        return said
