"""FinalMLP: two perceptrons on differently gated features, and a bilinear form of what they say.

Mao, Zhu, Su, Cai, Li and Dong, FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction, AAAI 2023.
"""

import torch
from jaxtyping import Float
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from distill.layers import MLP, FieldEmbedding, Linear, Selection
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction, Settings


class BilinearFusion(nn.Module):
    """`w_x x + w_y y + sum_h x_h^T W_h y_h`, where x and y are cut into as many parts as there are heads (equation 9).

    Args:
        widths: of x and of y.
        heads: number of heads; divides both.
        tasks: number of logits.
    """

    def __init__(self, widths: tuple[int, int], heads: int, tasks: int) -> None:
        super().__init__()
        first, second = (width // heads for width in widths)
        self.linear = Linear(sum(widths), tasks)
        self.weight = nn.Parameter(torch.randn(heads, first, tasks * second) * (2 / (sum(widths) * first)) ** 0.5)
        self.heads, self.tasks = heads, tasks
        nn.init.zeros_(self.linear.bias)

    def forward(
        self, x: Float[Tensor, "*members rows first"], y: Float[Tensor, "*members rows second"]
    ) -> Float[Tensor, "*members rows {self.tasks}"]:
        parts, others = (vector.unflatten(-1, (self.heads, -1)).transpose(-3, -2) for vector in (x, y))
        # Heads stand before rows: one product of matrices for each of them.
        products = (parts @ self.weight).unflatten(-1, (self.tasks, -1)) * others.unsqueeze(-2)
        return self.linear(x, y) + products.sum(-1).sum(-3)


class ContextGate(nn.Module):
    """`2 sigmoid(W MLP(context))`, which multiplies the features of one stream (equations 5 to 7).

    Args:
        context: the features that set it, by embeddings of their own.
        embedding: width of one embedding.
        hidden: width of the hidden layer.
        outputs: number of gates.
    """

    def __init__(self, context: Selection, embedding: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.context = context
        self.embedding = FieldEmbedding(context.schema, embedding)
        self.mlp = MLP(self.embedding.width, (hidden,))
        self.gate = Linear(self.mlp.width, outputs)

    def forward(self, features: Features) -> Float[Tensor, "*members rows _"]:
        return 2 * self.gate(self.mlp(self.embedding(self.context(features)))).sigmoid()


class ConstantGate(nn.Module):
    """`2 sigmoid(w)`, the same for all rows: without a context, what the paper's perceptron makes of a constant is
    learned directly.

    Args:
        outputs: number of gates.
    """

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs))

    def forward(self, features: Features) -> Float[Tensor, "*members 1 _"]:
        return 2 * self.weight.sigmoid().unsqueeze(-2)


class FinalMLP(Ranker):
    """Two perceptrons that are made to look at different features, and multiplied where they meet."""

    class Config(Settings):
        """What a recipe may set of a FinalMLP."""

        embedding: int = Field(default=8, ge=1)
        """Width of one embedding."""
        contexts: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        """Features that set the gates of each stream, such as the user's for one and the item's for the other."""
        gate: int = Field(default=32, ge=1)
        """Width of the hidden layer between a context and its gates."""
        hidden: tuple[PositiveInt, ...] = Field(default=(64, 32), min_length=1)
        """Width of each hidden layer of the first stream."""
        other_hidden: tuple[PositiveInt, ...] = Field(default=(32,), min_length=1)
        """Width of each hidden layer of the second stream."""
        heads: int = Field(default=4, ge=1)
        """Parts into which the last layer of each stream is cut before the two are multiplied."""
        dropout: float = Field(default=0.0, ge=0, lt=1)
        """Share of the hidden units dropped while training."""

        @model_validator(mode="after")
        def _heads_divide(self) -> "FinalMLP.Config":
            if self.hidden[-1] % self.heads or self.other_hidden[-1] % self.heads:
                raise ValueError("the last widths of `hidden` and `other_hidden` must be multiples of `heads`.")
            return self

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        self.embedding = FieldEmbedding(schema, config.embedding)
        width, contexts = self.embedding.width, [Selection(schema, names, "contexts") for names in config.contexts]
        self.gates = nn.ModuleList(
            ContextGate(one, config.embedding, config.gate, width) if names else ConstantGate(width)
            for one, names in zip(contexts, config.contexts, strict=True)
        )
        streams = (config.hidden, config.other_hidden)
        self.streams = nn.ModuleList(MLP(width, hidden, config.dropout, salt) for salt, hidden in enumerate(streams))
        self.fusion = BilinearFusion((config.hidden[-1], config.other_hidden[-1]), config.heads, len(schema.tasks))

    def forward(self, features: Features) -> Prediction:
        inputs = self.embedding(features)
        x, y = (stream(inputs * gate(features)) for stream, gate in zip(self.streams, self.gates, strict=True))
        return Prediction(self.fusion(x, y), torch.cat([x, y], -1))
