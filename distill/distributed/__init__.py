"""One teacher trained by several processes: a part of each step's rows each, and perhaps a part of its weights."""

from distill.distributed.group import Place, given, joined
from distill.distributed.learner import RankLearner

__all__ = ["Place", "RankLearner", "given", "joined"]
