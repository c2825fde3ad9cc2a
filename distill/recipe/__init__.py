"""The recipe: one YAML file that says what is learned from what, by whom, and how sure a verdict must be."""

from distill.recipe.cautions import warnings
from distill.recipe.loading import load
from distill.recipe.schema import schema
from distill.recipe.sections import Recipe
from distill.recipe.showing import show

__all__ = ["Recipe", "load", "schema", "show", "warnings"]
