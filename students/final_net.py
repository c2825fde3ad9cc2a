"""FinalNet: layers that multiply as well as add, in two branches.

Zhu, Jia, Cai, Dai, Li, Dong, Tang and Zhang, FINAL: Factorized Interaction Layer for CTR Prediction, SIGIR 2023. The
branches' distillation from their own mean needs labels, which a ranker never sees: here a teacher is a matter of the
recipe. Layer norm stands where the paper normalises batches, since a row's score depends on that row alone.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from distill.layers import Dropout, FieldEmbedding, LayerNorm, Linear, Mixing
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction, Settings


class FinalBlock(nn.Module):
    """Factorized interactions, `relu(LN(a + a * b))` with `a, b = W x`: each layer doubles the degree of products.

    Args:
        inputs: width of what comes in.
        hidden: width of each layer.
        dropout: share of the units dropped after each layer.
        salt: tells apart the dropout of several blocks.
    """

    def __init__(self, inputs: int, hidden: Sequence[int], dropout: float, salt: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Linear(before, 2 * after) for before, after in pairwise([inputs, *hidden]))
        self.norms = nn.ModuleList(LayerNorm(width) for width in hidden)
        self.dropouts = nn.ModuleList(Dropout(dropout, salt * 1000 + layer) for layer in range(len(hidden)))
        self.width = hidden[-1]

    def forward(self, inputs: Float[Tensor, "*members rows _"]) -> Float[Tensor, "*members rows {self.width}"]:
        for layer, norm, dropout in zip(self.layers, self.norms, self.dropouts, strict=True):
            added, factor = layer(inputs).chunk(2, -1)
            inputs = dropout(norm(torch.addcmul(added, added, factor)).relu())
        return inputs


class FinalNet(Ranker):
    """Two branches of factorized interactions whose logits are averaged; the first also reads its fields gated."""

    class Config(Settings):
        """What a recipe may set of a FinalNet."""

        embedding: int = Field(default=8, ge=1)
        """Width of one embedding."""
        hidden: tuple[PositiveInt, ...] = Field(default=(64, 32), min_length=1)
        """Width of each layer of a branch."""
        branches: int = Field(default=2, ge=1, le=2)
        """Number of branches; a single one is the gated one."""
        dropout: float = Field(default=0.0, ge=0, lt=1)
        """Share of the hidden units dropped while training."""

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        self.embedding = FieldEmbedding(schema, config.embedding)
        fields = self.embedding.fields
        self.gate = Mixing(fields, fields) if fields else None
        widths = [self.embedding.width + fields * config.embedding, self.embedding.width][: config.branches]
        self.branches = nn.ModuleList(
            FinalBlock(width, config.hidden, config.dropout, salt) for salt, width in enumerate(widths)
        )
        self.heads = nn.ModuleList(Linear(config.hidden[-1], len(schema.tasks)) for _ in widths)
        for head in self.heads:
            nn.init.zeros_(head.bias)

    def forward(self, features: Features) -> Prediction:
        fields, numbers = self.embedding.vectors(features)
        plain = torch.cat([fields.flatten(-2), numbers], -1)
        inputs = (self._gated(fields, plain), plain)
        said = [branch(one) for branch, one in zip(self.branches, inputs, strict=False)]
        logits = [head(vector) for head, vector in zip(self.heads, said, strict=True)]
        return Prediction(sum(logits) / len(logits), torch.cat(said, -1))

    def _gated(self, fields: Tensor, plain: Tensor) -> Tensor:
        """Everything side by side, and behind it each field times a mixture of all of them."""
        return plain if self.gate is None else torch.cat([plain, (fields * self.gate(fields)).flatten(-2)], -1)
