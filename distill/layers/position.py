"""Position bias: what a place on the page adds to a logit, kept apart from what the impression deserves."""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from distill.errors import Fault, RecipeError, suggestion
from distill.layers.dropout import Dropout
from distill.layers.mlp import MLP
from distill.layers.verticals import VerticalTable
from distill.types import UNSEEN, Features, FeatureSchema


class PositionBias(nn.Module):
    """`z_pos(position, vertical)`, a logit to add; the position is dropped at random in training, and fixed in scoring.

    Tencent's notes on their multi-scene ranker: the ranker itself never sees the position, whose effect would otherwise
    be taught to students that do not know where they will be shown. A dropped position is the unseen one, and that is
    also the one at which everything is scored: it has been trained, at the share of rows that were dropped.

    Args:
        schema: what the ranker sees, the position among it.
        name: the categorical feature that holds the position.
        width: width of an embedding, and of the hidden layer.
        rate: share of the rows whose position is dropped in training.
        salt: tells apart the random layers of one ranker.

    Raises:
        RecipeError: no categorical feature has that name.
    """

    def __init__(self, schema: FeatureSchema, name: str, width: int, rate: float, salt: int = 0) -> None:
        super().__init__()
        if name not in schema.categorical:
            raise RecipeError(
                Fault("position", f'"{name}" is no categorical feature.', suggestion(name, schema.categorical))
            )
        self.place = schema.categorical.index(name)
        self.drop = Dropout(rate, salt)
        self.position = nn.Parameter(torch.randn(schema.tables[name], width) * 0.1)
        self.vertical = VerticalTable(schema.verticals, width, spread=0.1)
        self.mlp = MLP(2 * width, (width,))
        self.head = nn.Linear(width, len(schema.tasks), bias=False)

    def forward(self, ids: Int[Tensor, "rows fields"], vertical: Int[Tensor, " rows"]) -> Float[Tensor, "rows tasks"]:
        """The logit to add, from the categorical features as they came."""
        shown = self.position[self.kept(ids[:, self.place])]
        return self.head(self.mlp(shown, self.vertical(vertical)))

    def kept(self, position: Int[Tensor, " rows"]) -> Int[Tensor, " rows"]:
        """The position of each row, or `UNSEEN`: in training for those that are dropped, in scoring for all."""
        if not self.training:
            return torch.full_like(position, UNSEEN)
        ones = torch.ones(len(position), 1, dtype=self.position.dtype, device=position.device)
        return torch.where(self.drop(ones).squeeze(-1) > 0, position, UNSEEN)

    def hide(self, features: Features) -> Features:
        """The features without the position, for the rest of the ranker."""
        ids = features.categorical
        return features._replace(categorical=torch.cat([ids[:, : self.place], ids[:, self.place + 1 :]], -1))


def without(schema: FeatureSchema, name: str) -> FeatureSchema:
    """The schema of what the rest of the ranker sees."""
    categorical = tuple(one for one in schema.categorical if one != name)
    read = {*categorical, *(table for field in schema.sequences for table in field.tables)}
    tables = {table: height for table, height in schema.tables.items() if table in read}
    return replace(schema, categorical=categorical, tables=tables)
