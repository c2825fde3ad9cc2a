"""Export: trained students as folders that serve, each proven to say what its student said in evaluation."""

from distill.export.finding import Wanted
from distill.export.making import examples, export, lay_down

__all__ = ["Wanted", "examples", "export", "lay_down"]
