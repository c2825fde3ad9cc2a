"""Small rankers of one vertical, one paper a file; `__all__` is the list that recipes name."""

from students.dcn_v2 import DCNv2
from students.deep_fm import DeepFM
from students.dnn import DNN

__all__ = ["DNN", "DCNv2", "DeepFM"]
