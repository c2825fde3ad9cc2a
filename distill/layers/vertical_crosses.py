"""Vertical crosses: a vertical and a feature as one field."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from distill.layers.dropout import mix
from distill.layers.embedding import INITIAL_SPREAD
from distill.layers.lookup import lookup
from distill.layers.verticals import place


class VerticalCrosses(nn.Module):
    """Each vertical crossed with each of some categorical features, hashed to fields of their own.

    Tencent's notes on their multi-scene ranker cross scene, position, format and age group; crosses of pairs with the
    vertical, and hashing to `buckets` rows, are ours. An unknown vertical's crosses are zeros.

    Args:
        fields: places of the features among the categorical ones.
        count: number of verticals.
        buckets: rows of the table that all crosses share.
        width: numbers of one vector.
    """

    def __init__(self, fields: tuple[int, ...], count: int, buckets: int, width: int) -> None:
        super().__init__()
        self.fields, self.buckets = list(fields), buckets
        self.register_buffer("count", torch.tensor(count))
        self.weight = nn.Parameter(torch.cat([torch.randn(buckets, width) * INITIAL_SPREAD, torch.zeros(1, width)]))

    def forward(
        self, categorical: Int[Tensor, "*members rows fields"], vertical: Int[Tensor, "*members rows"]
    ) -> Float[Tensor, "*members rows _ width"]:
        row = place(vertical, self.count).unsqueeze(-1)
        salted = mix(row) + torch.arange(len(self.fields), device=row.device)
        bucket = mix(mix(salted) + categorical[..., self.fields]) % self.buckets
        unknown = row == self.count[..., None, None]
        return lookup(self.weight, torch.where(unknown, self.buckets, bucket))[0]
