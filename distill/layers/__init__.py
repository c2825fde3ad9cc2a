"""Layers that teachers and students share; each is written for one ranker and maps over many."""

from distill.layers.attention import TargetAttention
from distill.layers.cross import Cross
from distill.layers.dropout import Dropout
from distill.layers.embedding import Embedded, FieldEmbedding
from distill.layers.factorization import FactorizationMachine
from distill.layers.linear import Linear
from distill.layers.lookup import lookup
from distill.layers.mlp import MLP

__all__ = [
    "MLP",
    "Cross",
    "Dropout",
    "Embedded",
    "FactorizationMachine",
    "FieldEmbedding",
    "Linear",
    "TargetAttention",
    "lookup",
]
