"""Sequence towers: histories read by attention, as jagged as they are."""

from distill.layers.sequence.bias import RelativeBias
from distill.layers.sequence.block import Order, SequenceBlock
from distill.layers.sequence.buckets import in_buckets
from distill.layers.sequence.histories import HistoryTowers
from distill.layers.sequence.pyramid import pooled, reduced
from distill.layers.sequence.rotary import rotated
from distill.layers.sequence.settings import SequenceSettings
from distill.layers.sequence.tower import SequenceTower

__all__ = [
    "HistoryTowers",
    "Order",
    "RelativeBias",
    "SequenceBlock",
    "SequenceSettings",
    "SequenceTower",
    "in_buckets",
    "pooled",
    "reduced",
    "rotated",
]
