"""PLE: layers of experts, some shared by all tasks and some of one task alone.

Tang, Liu, Zhao and Gong, Progressive Layered Extraction (PLE): A Novel Multi-Task Learning Model for Personalized
Recommendations, RecSys 2020.
"""

from pydantic import Field, PositiveInt

from distill import layers
from distill.layers import FieldEmbedding, TaskTowers
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction, Settings


class PLE(Ranker):
    """A student of tasks that would harm each other: what they share and what they keep parts layer by layer."""

    class Config(Settings):
        """What a recipe may set of a PLE."""

        embedding: int = Field(default=8, ge=1)
        """Width of one embedding."""
        experts: int = Field(default=2, ge=1)
        """Experts of each task, and as many shared ones."""
        hidden: tuple[PositiveInt, ...] = Field(default=(32,), min_length=1)
        """Width of each layer of experts."""
        tower: tuple[PositiveInt, ...] = Field(default=(16,), min_length=1)
        """Width of each layer of a task's tower; the last ones, side by side, are the representation."""
        dropout: float = Field(default=0.0, ge=0, lt=1)
        """Share of the towers' hidden units dropped while training."""

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        tasks = len(schema.tasks)
        self.embedding = FieldEmbedding(schema, config.embedding)
        self.extraction = layers.PLE(self.embedding.width, config.hidden, tasks, config.experts)
        self.towers = TaskTowers(self.extraction.width, config.tower, tasks, config.dropout)

    def forward(self, features: Features) -> Prediction:
        return Prediction(*self.towers(self.extraction(self.embedding(features))))
