"""TwoTower: a vector of the user and one of the item, which meet in a product alone.

Huang, He, Gao, Deng, Acero and Heck, Learning Deep Structured Semantic Models for Web Search using Clickthrough Data,
CIKM 2013; Yi et al., Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations, RecSys 2019.
"""

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from distill.layers import MLP, FieldEmbedding, Linear, Selection, feature_names
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction, Settings


class Tower(nn.Module):
    """One side: a perceptron over features of its own, with tables of its own, and a linear layer into the vectors.

    Args:
        schema: the features of this side, and no others.
        embedding: width of one embedding.
        hidden: width of each hidden layer.
        dropout: share of the hidden units dropped while training.
        outputs: width of the vectors of all tasks, side by side.
        salt: tells apart the dropout of two towers.
    """

    def __init__(
        self, schema: FeatureSchema, embedding: int, hidden: tuple[int, ...], dropout: float, outputs: int, salt: int
    ) -> None:
        super().__init__()
        self.schema = schema
        self.embedding = FieldEmbedding(schema, embedding)
        self.mlp = MLP(self.embedding.width, hidden, dropout, salt)
        self.output = Linear(self.mlp.width, outputs)

    def forward(self, features: Features) -> Float[Tensor, "*members rows _"]:
        return self.output(self.mlp(self.embedding(features)))


class TwoTower(Ranker):
    """A student whose items can be scored ahead; `user` and `item` are modules that can be exported one by one.

    How is in docs/export.md.
    """

    class Config(Settings):
        """What a recipe may set of a TwoTower."""

        item: tuple[str, ...] = ()
        """Features of the item's tower; the user's has all others. Without it, the categorical features whose table a
        history reads, or the first feature where none does."""
        embedding: int = Field(default=8, ge=1)
        """Width of one embedding."""
        hidden: tuple[PositiveInt, ...] = Field(default=(64,), min_length=1)
        """Width of each hidden layer of a tower."""
        width: int = Field(default=32, ge=1)
        """Width of a tower's vector in one task."""
        score: Literal["dot", "cosine"] = "dot"
        """Whether the length of the vectors counts."""
        temperature: float = Field(default=1.0, gt=0)
        """What the product is divided by; with `cosine`, about 0.1."""
        dropout: float = Field(default=0.0, ge=0, lt=1)
        """Share of the hidden units dropped while training."""

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        items = config.item or _shown(schema)
        users = tuple(name for name in feature_names(schema) if name not in items)
        self.sides = [Selection(schema, names, "item") for names in (users, items)]
        self.user, self.item = (
            Tower(
                side.schema,
                config.embedding,
                config.hidden,
                config.dropout,
                len(schema.tasks) * config.width,
                salt,
            )
            for salt, side in enumerate(self.sides)
        )
        self.bias = nn.Parameter(torch.zeros(len(schema.tasks)))
        self.tasks, self.cosine, self.temperature = len(schema.tasks), config.score == "cosine", config.temperature

    def forward(self, features: Features) -> Prediction:
        users, items = self.sides
        products = self._compared(self.user(users(features))) * self._compared(self.item(items(features)))
        logit = products.sum(-1) / self.temperature + self.bias.unsqueeze(-2)
        return Prediction(logit, products.flatten(-2))

    def _compared(self, vectors: Tensor) -> Tensor:
        """One vector a task, `[*members, rows, tasks, width]`."""
        vectors = vectors.unflatten(-1, (self.tasks, -1))
        return functional.normalize(vectors, dim=-1) if self.cosine else vectors


def _shown(schema: FeatureSchema) -> tuple[str, ...]:
    """The features that histories are about, or the first one."""
    read = {table for field in schema.sequences for table in field.tables}
    return tuple(name for name in schema.categorical if name in read) or feature_names(schema)[:1]
