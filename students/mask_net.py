"""MaskNet: hidden layers multiplied by masks that each row makes of its own features.

Wang, She and Zhang, MaskNet: Introducing Feature-Wise Multiplication to CTR Ranking Models by Instance-Guided Mask,
DLP-KDD 2021 (the serial and the parallel model).
"""

from typing import Literal

import torch
from pydantic import Field, PositiveInt
from torch import nn

from distill import layers
from distill.layers import MLP, FieldEmbedding, Linear
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction, Settings


class MaskNet(Ranker):
    """A student that reads its features through a filter which those features set."""

    class Config(Settings):
        """What a recipe may set of a MaskNet."""

        structure: Literal["serial", "parallel"] = "serial"
        """Whether each block masks what the one before gives, or all mask the features, below a perceptron."""
        embedding: int = Field(default=8, ge=1)
        """Width of one embedding."""
        blocks: tuple[PositiveInt, ...] = Field(default=(64, 32), min_length=1)
        """Width of each block."""
        reduction: float = Field(default=1.0, gt=0)
        """Width between the two layers of a mask, over that of the features."""
        hidden: tuple[PositiveInt, ...] = Field(default=(32,), min_length=1)
        """Width of each hidden layer above parallel blocks."""
        dropout: float = Field(default=0.0, ge=0, lt=1)
        """Share of the hidden units above parallel blocks dropped while training."""

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        self.embedding = FieldEmbedding(schema, config.embedding)
        serial = config.structure == "serial"
        groups = [config.blocks] if serial else [(width,) for width in config.blocks]
        self.blocks = nn.ModuleList(layers.MaskNet(self.embedding.width, group, config.reduction) for group in groups)
        self.top = MLP(sum(block.width for block in self.blocks), () if serial else config.hidden, config.dropout)
        self.head = Linear(self.top.width, len(schema.tasks))
        nn.init.zeros_(self.head.bias)

    def forward(self, features: Features) -> Prediction:
        inputs = self.embedding(features)
        representation = self.top(torch.cat([block(inputs) for block in self.blocks], -1))
        return Prediction(self.head(representation), representation)
