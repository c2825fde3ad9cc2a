"""Losses: pure functions that return one number a row; `Objective` reduces.

The mean over rows by weight is the loss. A row of weight 0 is not there. Members of a fleet never feel each other.
"""

from distill.losses.geometry import cka, gram, procrustes, rkd_angle, rkd_distance
from distill.losses.listing import LOSSES, Loss
from distill.losses.logit import binary_cross_entropy, logit_distillation, logit_mse, scaled_gradient, scaled_label
from distill.losses.ranking import listwise, listwise_softmax, listwise_unnormalised, margin_mse, pairwise
from distill.losses.representation import contrastive, cosine, hint_mse

__all__ = [
    "LOSSES",
    "Loss",
    "binary_cross_entropy",
    "cka",
    "contrastive",
    "cosine",
    "gram",
    "hint_mse",
    "listwise",
    "listwise_softmax",
    "listwise_unnormalised",
    "logit_distillation",
    "logit_mse",
    "margin_mse",
    "pairwise",
    "procrustes",
    "rkd_angle",
    "rkd_distance",
    "scaled_gradient",
    "scaled_label",
]
