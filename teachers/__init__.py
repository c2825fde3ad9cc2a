"""Large rankers that serve every vertical, one idea a file; `__all__` is the list that recipes name."""

from teachers.attentive_cross import AttentiveCross

__all__ = ["AttentiveCross"]
