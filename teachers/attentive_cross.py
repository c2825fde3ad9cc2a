"""AttentiveCross: histories read with the candidate in mind, crossed with every other feature, told apart by vertical.

Zhou et al., Deep Interest Network for Click-Through Rate Prediction, KDD 2018 (attention of the candidate);
Wang et al., DCN V2: Improved Deep & Cross Network, WWW 2021 (cross network beside a perceptron);
Chang et al., PEPNet: Parameter and Embedding Personalized Network, KDD 2023 (gates of 2 sigmoid by domain).
"""

import torch
from jaxtyping import Float, Int
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from distill.layers import MLP, Cross, Embedded, FieldEmbedding, TargetAttention, lookup
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction, SequenceField, Settings


class AttentiveCross(Ranker):
    """A teacher of many verticals: what it learns in one, it uses in the others.

    Each history is read twice: its mean says who the user is, and attention says what of it bears on the candidate.
    """

    class Config(Settings):
        """What a recipe may set of an AttentiveCross."""

        embedding: int = Field(default=16, ge=1)
        """Width of one embedding, and of a vertical's."""
        heads: int = Field(default=4, ge=1)
        """Heads of the attention to each history."""
        cross_layers: int = Field(default=2, ge=1)
        """Number of cross layers; each adds one degree of interaction."""
        hidden: tuple[PositiveInt, ...] = Field(default=(128, 64), min_length=1)
        """Width of each hidden layer of the perceptron."""
        dropout: float = Field(default=0.0, ge=0, lt=1)
        """Share of the perceptron's hidden units dropped while training."""
        representation: int = Field(default=32, ge=1)
        """Width of the representation, from which students may learn."""

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        self.histories = tuple(field for field in schema.sequences if field.ordered)
        self.candidates = tuple(_candidates(schema, field) for field in self.histories)
        self.embedding = FieldEmbedding(schema, config.embedding)
        self.attention = nn.ModuleList(
            _attention(field, len(candidates) + 1, config)
            for field, candidates in zip(self.histories, self.candidates, strict=True)
        )
        width = self.embedding.width + config.embedding + sum(read.width for read in self.attention)
        self.verticals = Verticals(schema.verticals, config.embedding, width, len(schema.tasks))
        self.cross = Cross(width, config.cross_layers)
        self.mlp = MLP(width, config.hidden, config.dropout)
        self.representation = nn.Linear(self.cross.width + self.mlp.width, config.representation)
        self.head = nn.Linear(config.representation, len(schema.tasks))
        nn.init.zeros_(self.head.bias)

    def forward(self, features: Features) -> Prediction:
        embedded = self.embedding.embed(features)
        vertical, gate, bias = self.verticals(features.vertical)
        inputs = torch.cat([self.embedding.flat(embedded), vertical, *self._attended(embedded, vertical)], -1)
        inputs = inputs * gate
        representation = self.representation(torch.cat([self.cross(inputs), self.mlp(inputs)], -1))
        return Prediction(self.head(representation) + bias, representation)

    def _attended(self, embedded: Embedded, vertical: Float[Tensor, "rows width"]) -> list[Float[Tensor, "rows _"]]:
        """What each history says of the candidate, in this vertical."""
        attended = []
        for read, field, candidates in zip(self.attention, self.histories, self.candidates, strict=True):
            query = torch.cat([*(embedded.fields[..., index, :] for index in candidates), vertical], -1)
            attended.append(read(query, embedded.steps[field.name], embedded.present[field.name]))
        return attended


class Verticals(nn.Module):
    """What a vertical changes: it adds an embedding, gates every input and shifts every logit.

    Any other id than those of the known verticals changes nothing: embedding 0, gates 1, biases 0.

    Args:
        count: number of verticals.
        width: width of an embedding.
        gates: number of inputs.
        tasks: number of logits.
    """

    def __init__(self, count: int, width: int, gates: int, tasks: int) -> None:
        super().__init__()
        self.register_buffer("count", torch.tensor(count))
        self.embedding = nn.Parameter(torch.cat([torch.randn(count, width) * 0.1, torch.zeros(1, width)]))
        self.gate = nn.Linear(width, gates, bias=False)
        self.bias = nn.Parameter(torch.zeros(count + 1, tasks))

    def forward(self, vertical: Int[Tensor, " rows"]) -> tuple[Float[Tensor, "rows _"], ...]:
        """Embedding, gates in (0, 2) and biases of each row's vertical."""
        row = torch.where((vertical >= 0) & (vertical < self.count), vertical, self.count)
        # Gates are worked out once a vertical, of which there are fewer than rows.
        tables = (self.embedding, 2 * self.gate(self.embedding).sigmoid(), self.bias)
        return tuple(lookup(table, row)[0] for table in tables)


def _candidates(schema: FeatureSchema, field: SequenceField) -> list[int]:
    """The categorical features that share a table with the history, or all of them where none does."""
    every = range(len(schema.categorical))
    return [index for index in every if schema.categorical[index] in field.tables] or list(every)


def _attention(field: SequenceField, vectors: int, config: AttentiveCross.Config) -> TargetAttention:
    """Attention to one history, with a query made of so many embeddings."""
    width = config.embedding * len(field.tables)
    return TargetAttention(config.embedding * vectors, field.length, width, config.heads, width)
