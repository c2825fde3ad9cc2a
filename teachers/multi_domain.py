"""MultiDomain: one trunk for all verticals, and five ways in which a vertical changes it.

Sheng et al., One Model to Serve All: Star Topology Adaptive Recommender, CIKM 2021 (`pln`, `star`); Chang et al.,
PEPNet: Parameter and Embedding Personalized Network, KDD 2023 (`pepnet`); Tencent's notes on their multi-scene ranker,
of which no paper is public (`field_weights`, `towers`, crosses, position bias).
"""

from typing import Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from distill.layers import (
    CandidateAttention,
    FieldEmbedding,
    FieldWeights,
    PositionBias,
    VerticalCrosses,
    VerticalTable,
    trunk,
    without,
)
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction, Settings

Form = Literal["pln", "star", "pepnet", "field_weights", "towers"]


class MultiDomain(Ranker):
    """A teacher for verticals that differ: they share what they can, and keep what they must."""

    class Config(Settings):
        """What a recipe may set of a MultiDomain."""

        form: Form = "pepnet"
        """What a vertical changes: scale and shift of each norm (`pln`), every weight (`star`), inputs and hidden units
        by gates (`pepnet`), how much each field counts (`field_weights`), or a tower beside a shared one (`towers`)."""
        field_weights: Literal["table", "gate"] = "table"
        """Where the weights of `form: field_weights` come from: a learned table, or a gate that sees the fields too."""
        embedding: int = Field(default=16, ge=1)
        """Width of one embedding, and of a vertical's."""
        heads: int = Field(default=4, ge=1)
        """Heads of the attention to each history."""
        hidden: tuple[PositiveInt, ...] = Field(default=(128, 64), min_length=1)
        """Width of each hidden layer; the last one is the representation."""
        crosses: int = Field(default=0, ge=0)
        """Rows of the table of crosses of the vertical with each categorical feature; 0 for no crosses."""
        position: str | None = None
        """The categorical feature that holds the place on the page; it reaches the logit by a net of its own alone,
        and is taken for unseen when rows are scored."""
        position_dropout: float = Field(default=0.1, gt=0, lt=1)
        """Share of the rows whose position is taken for unseen in training."""

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        tasks, count, width = len(schema.tasks), schema.verticals, config.embedding
        self.position = None
        if config.position is not None:
            self.position = PositionBias(schema, config.position, width, config.position_dropout)
            self.unseen_at_scoring = (config.position,)
            schema = without(schema, config.position)
        self.embedding = FieldEmbedding(schema, width)
        self.attention = CandidateAttention(schema, width, config.heads, width)
        self.vertical = VerticalTable(count, width, spread=0.1)
        crossed = tuple(range(len(schema.categorical))) if config.crosses else ()
        self.crosses = VerticalCrosses(crossed, count, config.crosses, width) if crossed else None
        self.weights = None
        inputs = self.embedding.width + width * (1 + len(crossed)) + self.attention.width
        if config.form == "field_weights" and self.embedding.fields:
            self.weights = FieldWeights(count, self.embedding.fields, width, config.field_weights)
        form = "shared" if config.form == "field_weights" else config.form
        self.trunk = trunk(form, inputs, config.hidden, count, width)
        self.head = nn.Linear(config.hidden[-1], tasks)
        self.bias = VerticalTable(count, tasks)
        nn.init.zeros_(self.head.bias)

    def forward(self, features: Features) -> Prediction:
        ids, vertical = features.categorical, features.vertical
        if self.position is not None:
            features = self.position.hide(features)
        representation = self.trunk(self._inputs(features), vertical)
        logit = self.head(representation) + self.bias(vertical)
        if self.position is not None:
            logit = logit + self.position(ids, vertical)
        return Prediction(logit, representation)

    def _inputs(self, features: Features) -> Tensor:
        """Everything but the position, side by side."""
        embedded, own = self.embedding.embed(features), self.vertical(features.vertical)
        fields = self.embedding.pooled(embedded)
        if self.weights is not None:
            fields = self.weights(fields, features.vertical)
        pieces = [fields.flatten(-2), embedded.numbers, own, *self.attention(embedded, own)]
        if self.crosses is not None:
            pieces.append(self.crosses(features.categorical, features.vertical).flatten(-2))
        return torch.cat(pieces, -1)
