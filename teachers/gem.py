"""GEM: the assembly of Meta's Generative Ads Recommendation Model, from parts that are public.

Engineering at Meta, Meta's Generative Ads Model (GEM): the Central Brain Accelerating Ads Recommendation AI
Innovation, 2025-11-10. It names the parts (a pyramid over long histories, an enhanced Wukong, InterFormer between the
two, learning over many domains) and gives no equation of how they are joined; the joints and the sizes are ours.
"""

from typing import Literal, NamedTuple

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import nn

from distill.layers import (
    RECENT,
    Attending,
    FieldEmbedding,
    Interactions,
    InterFormer,
    Steps,
    Tokens,
    VerticalTable,
    WukongLayer,
    ordered,
    summarised,
    trunk,
)
from distill.layers.sequence import HistoryTowers, SequenceSettings
from distill.layers.trunks import Form
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction, Settings


class Widths(NamedTuple):
    """What a size stands for; the settings of the same names say what each number is."""

    embedding: int
    heads: int
    layers: int
    factored: int
    compressed: int
    rank: int
    hidden: tuple[int, ...]
    top: tuple[int, ...]
    sequence_layers: int
    levels: int


SIZES = {
    "nano": Widths(8, 2, 2, 4, 4, 4, (32,), (32, 16), 1, 1),
    "small": Widths(16, 2, 2, 8, 8, 8, (64,), (128, 64), 1, 2),
    "base": Widths(32, 4, 3, 16, 16, 16, (256,), (256, 128), 2, 2),
    "large": Widths(64, 4, 4, 32, 32, 24, (1024,), (1024, 256), 2, 3),
    "xl": Widths(128, 8, 8, 64, 64, 48, (4096, 2048), (2048, 512), 4, 3),
}
"""Each has seven to twenty times the parameters of the one before; `distill plan` says how many exactly."""


class GEM(Ranker):
    """A teacher of every vertical at once, of any size: one dial sets all widths and depths, unless they are given.

    Each history is read twice: by a tower with a pyramid, in which the candidate is the newest event, and step by step
    between the layers of a Wukong, as in InterFormer. The top reads what the last layer gives and what the first
    one was given; what verticals change is a switch of it.
    """

    class Config(Settings):
        """What a recipe may set of a GEM."""

        size: Literal["nano", "small", "base", "large", "xl"] = "small"
        """Sets everything below that is not given."""
        embedding: int | None = Field(default=None, ge=1)
        """Width of every vector; a multiple of `heads`."""
        heads: int | None = Field(default=None, ge=1)
        """Heads of every attention."""
        layers: int | None = Field(default=None, ge=1)
        """Layers of the Wukong, between which histories are rewritten."""
        factored: int | None = Field(default=None, ge=1)
        """Vectors that each layer makes of pairwise products."""
        compressed: int | None = Field(default=None, ge=1)
        """Vectors that each layer makes of plain linear combinations."""
        rank: int | None = Field(default=None, ge=1)
        """Columns to which the products are compressed."""
        hidden: tuple[PositiveInt, ...] | None = Field(default=None, min_length=1)
        """Width of each hidden layer of a layer's perceptron."""
        top: tuple[PositiveInt, ...] | None = Field(default=None, min_length=1)
        """Width of each hidden layer above the stack; the last one is the representation."""
        sequence_layers: int | None = Field(default=None, ge=1)
        """Blocks of each level of the pyramid."""
        levels: int | None = Field(default=None, ge=1)
        """Levels of the pyramid; before each further one, older events are pooled."""
        projection: Literal["static", "attentive"] = "attentive"
        """Whether products are compressed alike in all rows, or by each row."""
        across: bool = True
        """Whether each layer but the first also attends to all layers before it."""
        domain: Form = "pepnet"
        """What a vertical changes in the top: nothing (`shared`), scale and shift of each norm (`pln`), every weight
        (`star`), inputs and hidden units by gates (`pepnet`), or a tower beside a shared one (`towers`)."""

        @property
        def widths(self) -> Widths:
            """Every width and depth: as given, or as the size says."""
            given = {name: getattr(self, name) for name in Widths._fields}
            return SIZES[self.size]._replace(**{name: value for name, value in given.items() if value is not None})

        @model_validator(mode="after")
        def _heads_share_the_width(self) -> "GEM.Config":
            width, heads = self.widths.embedding, self.widths.heads
            if width % heads:
                raise ValueError(f"`embedding` must be a multiple of `heads`, and {width} is none of {heads}.")
            return self

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        widths, tasks = config.widths, len(schema.tasks)
        width = widths.embedding
        self.embedding = FieldEmbedding(schema, width)
        self.vertical = VerticalTable(schema.verticals, width, spread=0.1)
        self.towers = HistoryTowers(schema, width, width, _sequence(widths))
        self.tokens = Tokens(self.embedding, width, [width, *(one.tower.width for one in self.towers.towers)])
        self.steps = Steps(schema, width) if ordered(schema) else None
        self.stack = _stack(config, self.tokens.count, self.steps)
        inputs = (self.tokens.count + widths.factored + widths.compressed) * width
        self.top = trunk(config.domain, inputs, widths.top, schema.verticals, width)
        self.head = nn.Linear(widths.top[-1], tasks)
        self.bias = VerticalTable(schema.verticals, tasks)
        nn.init.zeros_(self.head.bias)

    def forward(self, features: Features) -> Prediction:
        embedded, own = self.embedding.embed(features), self.vertical(features.vertical)
        known = [own, *self.towers(features, embedded, own)]
        tokens = self.tokens(self.embedding.pooled(embedded), embedded.numbers, known)
        steps = self.steps(embedded) if self.steps else ()
        crossed = torch.cat([tokens, self.stack(tokens, *steps)], -2)
        representation = self.top(crossed.flatten(-2), features.vertical)
        return Prediction(self.head(representation) + self.bias(features.vertical), representation)


def _sequence(widths: Widths) -> SequenceSettings:
    """The tower of a history: HSTU's block, in as many levels as the size says."""
    return SequenceSettings(
        width=widths.embedding, heads=widths.heads, layers=widths.sequence_layers, levels=widths.levels
    )


def _stack(config: GEM.Config, tokens: int, steps: Steps | None) -> nn.Module:
    """Wukong layers over so many vectors and, where there are histories, InterFormer's other side."""
    widths, newest = config.widths, steps.newest(RECENT) if steps else []
    width, heads = widths.embedding, widths.heads
    counts = [tokens, *[widths.factored + widths.compressed] * (widths.layers - 1)]
    beside = summarised(newest) if steps else 0
    layers = [
        WukongLayer(
            count + beside,
            width,
            widths.factored,
            widths.compressed,
            widths.rank,
            widths.hidden,
            attentive=config.projection == "attentive",
        )
        for count in counts
    ]
    interactions = Interactions(layers, width, heads if config.across else None)
    if steps is None:
        return interactions
    return InterFormer(interactions, counts, [Attending(width, heads) for _ in counts[1:]], newest, width, heads)
