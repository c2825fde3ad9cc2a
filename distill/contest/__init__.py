"""The contest: teachers side by side on the same rows, each trained as its recipe says, without any student."""

from distill.contest.running import run

__all__ = ["run"]
