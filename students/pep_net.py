"""PEPNet: gates by which some features, known beforehand, personalise embeddings and hidden layers.

Chang et al., PEPNet: Parameter and Embedding Personalized Network for Infusing with Personalized Prior Information,
KDD 2023. A student serves one vertical, so that the prior is not the vertical but what the recipe names; tasks share
their hidden layers.
"""

from pydantic import Field, PositiveInt
from torch import nn

from distill.layers import FieldEmbedding, GatedMLP, Linear, Selection
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction, Settings


class PEPNet(Ranker):
    """A student with a filter of its features for each user, hour or place, rather than one for all."""

    class Config(Settings):
        """What a recipe may set of a PEPNet."""

        prior: tuple[str, ...] = ()
        """Features that set the gates, by embeddings of their own; without it, gates see the other inputs alone."""
        embedding: int = Field(default=8, ge=1)
        """Width of one embedding."""
        gate: int = Field(default=32, ge=1)
        """Width of each gate's hidden layer."""
        hidden: tuple[PositiveInt, ...] = Field(default=(64, 32), min_length=1)
        """Width of each hidden layer; the last one is the representation."""

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        self.known = Selection(schema, config.prior, "prior")
        self.prior = FieldEmbedding(self.known.schema, config.embedding)
        self.embedding = FieldEmbedding(schema, config.embedding)
        self.mlp = GatedMLP(self.embedding.width, config.hidden, self.prior.width, config.gate)
        self.head = Linear(self.mlp.width, len(schema.tasks))
        nn.init.zeros_(self.head.bias)

    def forward(self, features: Features) -> Prediction:
        representation = self.mlp(self.embedding(features), self.prior(self.known(features)))
        return Prediction(self.head(representation), representation)
