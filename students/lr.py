"""LR: logistic regression, one weight for each id and number.

Richardson, Dominowska and Ragno, Predicting Clicks: Estimating the Click-Through Rate for New Ads, WWW 2007.
"""

from torch import nn

from distill.layers import FieldEmbedding, Linear
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction, Settings


class LR(Ranker):
    """The floor of the zoo: a bias, and what each feature adds to it, whatever the others say."""

    class Config(Settings):
        """Nothing to set."""

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        # A weight a task is an embedding as wide as there are tasks.
        self.weights = FieldEmbedding(schema, len(schema.tasks))
        self.linear = Linear(self.weights.numbers, len(schema.tasks))
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Features) -> Prediction:
        weights, numbers = self.weights.vectors(features)
        logit = weights.sum(-2) + self.linear(numbers)
        return Prediction(logit, logit)
