"""MMoE: experts that all tasks share, and a gate for each task that says whom it listens to.

Ma, Zhao, Yi, Chen, Hong and Chi, Modeling Task Relationships in Multi-task Learning with Multi-gate
Mixture-of-Experts, KDD 2018.
"""

from pydantic import Field, PositiveInt

from distill import layers
from distill.layers import FieldEmbedding, TaskTowers
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction, Settings


class MMoE(Ranker):
    """A student of several tasks that need not agree: each weighs the same experts in its own way, row by row."""

    class Config(Settings):
        """What a recipe may set of an MMoE."""

        embedding: int = Field(default=8, ge=1)
        """Width of one embedding."""
        experts: int = Field(default=4, ge=1)
        """Number of experts."""
        hidden: tuple[PositiveInt, ...] = Field(default=(32,), min_length=1)
        """Width of each layer of an expert."""
        tower: tuple[PositiveInt, ...] = Field(default=(16,), min_length=1)
        """Width of each layer of a task's tower; the last ones, side by side, are the representation."""
        dropout: float = Field(default=0.0, ge=0, lt=1)
        """Share of the towers' hidden units dropped while training."""

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        tasks = len(schema.tasks)
        self.embedding = FieldEmbedding(schema, config.embedding)
        self.experts = config.experts
        width = self.embedding.width
        self.mixture = layers.MMoE([width] * config.experts, config.hidden, [width] * tasks)
        self.towers = TaskTowers(self.mixture.width, config.tower, tasks, config.dropout)

    def forward(self, features: Features) -> Prediction:
        inputs = self.embedding(features)
        heard = self.mixture([inputs] * self.experts, [inputs] * self.towers.tasks)
        return Prediction(*self.towers(heard))
