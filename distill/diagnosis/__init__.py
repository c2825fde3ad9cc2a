"""Diagnosis: which verticals pull shared parameters apart, and which features a ranker leans on."""

from distill.diagnosis.measures import gradient_correlation, importance_by_age, layer, permutation_importance
from distill.diagnosis.running import run

__all__ = ["gradient_correlation", "importance_by_age", "layer", "permutation_importance", "run"]
