"""Layers that teachers and students share; each is written for one ranker and maps over many."""

from distill.layers.activation_unit import ActivationUnit
from distill.layers.attention import TargetAttention
from distill.layers.batch_norm import BatchNormReLU
from distill.layers.cross import Cross, LowRankCross
from distill.layers.cross_layer import CrossLayerAttention
from distill.layers.dropout import Dropout
from distill.layers.embedding import Embedded, FieldEmbedding
from distill.layers.experts import PLE, Gating, MMoE
from distill.layers.factorization import FactorizationMachine
from distill.layers.field_attention import FieldPairAttention
from distill.layers.field_weights import FieldWeights
from distill.layers.histories import CandidateAttention, Steps, ordered
from distill.layers.interactions import FlatInteraction, Interactions
from distill.layers.interformer import RECENT, Attending, InterFormer, summarised
from distill.layers.linear import Linear
from distill.layers.lookup import lookup
from distill.layers.masknet import MaskNet
from distill.layers.mlp import MLP
from distill.layers.multihead import AttentionPooling, MultiHead
from distill.layers.norm import LayerNorm
from distill.layers.partitioned import PartitionedLayerNorm, PartitionedMLP
from distill.layers.personalization import GatedMLP, GateNU, PersonalizedMLP
from distill.layers.position import PositionBias, without
from distill.layers.selection import Selection, feature_names
from distill.layers.star import StarLinear, StarMLP
from distill.layers.task_towers import TaskTowers
from distill.layers.tokens import Tokens
from distill.layers.towers import VerticalLinear, VerticalTowers
from distill.layers.trunks import SharedMLP, trunk
from distill.layers.vertical_crosses import VerticalCrosses
from distill.layers.verticals import Verticals, VerticalTable
from distill.layers.wukong import FactorizationBlock, Mixing, WukongLayer

__all__ = [
    "MLP",
    "PLE",
    "RECENT",
    "ActivationUnit",
    "Attending",
    "AttentionPooling",
    "BatchNormReLU",
    "CandidateAttention",
    "Cross",
    "CrossLayerAttention",
    "Dropout",
    "Embedded",
    "FactorizationBlock",
    "FactorizationMachine",
    "FieldEmbedding",
    "FieldPairAttention",
    "FieldWeights",
    "FlatInteraction",
    "GateNU",
    "GatedMLP",
    "Gating",
    "InterFormer",
    "Interactions",
    "LayerNorm",
    "Linear",
    "LowRankCross",
    "MMoE",
    "MaskNet",
    "Mixing",
    "MultiHead",
    "PartitionedLayerNorm",
    "PartitionedMLP",
    "PersonalizedMLP",
    "PositionBias",
    "Selection",
    "SharedMLP",
    "StarLinear",
    "StarMLP",
    "Steps",
    "TargetAttention",
    "TaskTowers",
    "Tokens",
    "VerticalCrosses",
    "VerticalLinear",
    "VerticalTable",
    "VerticalTowers",
    "Verticals",
    "WukongLayer",
    "feature_names",
    "lookup",
    "ordered",
    "summarised",
    "trunk",
    "without",
]
