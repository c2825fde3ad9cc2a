"""Large rankers that serve every vertical, one idea a file; `__all__` is the list that recipes name."""

from teachers.attentive_cross import AttentiveCross
from teachers.gpt import GPT
from teachers.hstu import HSTU
from teachers.llama import Llama
from teachers.sasrec import SASRec

__all__ = ["GPT", "HSTU", "AttentiveCross", "Llama", "SASRec"]
