"""Layers that teachers and students share; each is written for one ranker and maps over many."""

from distill.layers.attention import TargetAttention
from distill.layers.dropout import Dropout
from distill.layers.embedding import Embedded, FieldEmbedding
from distill.layers.interaction import MLP, Cross
from distill.layers.lookup import lookup

__all__ = ["MLP", "Cross", "Dropout", "Embedded", "FieldEmbedding", "TargetAttention", "lookup"]
