"""Small rankers of one vertical, one paper a file; `__all__` is the list that recipes name."""

from students.dcn_v2 import DCNv2
from students.deep_fm import DeepFM
from students.din import DIN
from students.dnn import DNN
from students.final_mlp import FinalMLP
from students.final_net import FinalNet
from students.fm import FM
from students.lr import LR
from students.mask_net import MaskNet
from students.mmoe import MMoE
from students.pep_net import PEPNet
from students.ple import PLE
from students.two_tower import TwoTower
from students.wukong_lite import WukongLite

__all__ = [
    "DIN",
    "DNN",
    "FM",
    "LR",
    "PLE",
    "DCNv2",
    "DeepFM",
    "FinalMLP",
    "FinalNet",
    "MMoE",
    "MaskNet",
    "PEPNet",
    "TwoTower",
    "WukongLite",
]
