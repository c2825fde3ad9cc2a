"""Large rankers that serve every vertical, one idea a file; `__all__` is the list that recipes name."""

from teachers.attentive_cross import AttentiveCross
from teachers.auto_attention import AutoAttention
from teachers.interformer import InterFormer
from teachers.multi_domain import MultiDomain
from teachers.multi_embedding import MultiEmbedding
from teachers.wukong import Wukong

__all__ = ["AttentiveCross", "AutoAttention", "InterFormer", "MultiDomain", "MultiEmbedding", "Wukong"]
