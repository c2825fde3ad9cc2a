"""FM: factorization machine, a logistic regression and the products of all pairs of features.

Rendle, Factorization Machines, ICDM 2010 (equation 1 and lemma 3.1).
"""

import torch
from pydantic import Field
from torch import nn

from distill.layers import FieldEmbedding
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction, Settings
from students.lr import LR


class FM(Ranker):
    """Each feature has a vector in each task, numbers too; what two say together is the product of theirs."""

    class Config(Settings):
        """What a recipe may set of an FM."""

        embedding: int = Field(default=8, ge=1)
        """Width of a feature's vector in one task."""

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        self.tasks = len(schema.tasks)
        self.single = LR(schema, LR.Config())
        self.embedding = FieldEmbedding(schema, self.tasks * config.embedding)
        spread = self.embedding.weight.new_full((self.embedding.numbers, self.tasks * config.embedding), 0.05)
        self.numbers = nn.Parameter(torch.normal(0.0, spread))

    def forward(self, features: Features) -> Prediction:
        fields, numbers = self.embedding.vectors(features)
        scaled = numbers.unsqueeze(-1) * self.numbers.unsqueeze(-3)
        vectors = torch.cat([fields, scaled], -2).unflatten(-1, (self.tasks, -1))
        total = vectors.sum(-3)
        pairs = (total.square() - vectors.square().sum(-3)).sum(-1) / 2
        return Prediction(self.single(features).logit + pairs, total.flatten(-2))
