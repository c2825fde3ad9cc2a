"""Large rankers that serve every vertical, one idea a file; `__all__` is the list that recipes name."""

from teachers.attentive_cross import AttentiveCross
from teachers.auto_attention import AutoAttention
from teachers.gem import GEM
from teachers.gpt import GPT
from teachers.hstu import HSTU
from teachers.interformer import InterFormer
from teachers.llama import Llama
from teachers.multi_domain import MultiDomain
from teachers.multi_embedding import MultiEmbedding
from teachers.sasrec import SASRec
from teachers.wukong import Wukong

__all__ = [
    "GEM",
    "GPT",
    "HSTU",
    "AttentiveCross",
    "AutoAttention",
    "InterFormer",
    "Llama",
    "MultiDomain",
    "MultiEmbedding",
    "SASRec",
    "Wukong",
]
