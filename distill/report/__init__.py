"""Report: the numbers that a user decides from, and how they are shown."""

from distill.report.hops import with_hops
from distill.report.leaderboard import leaderboard
from distill.report.note import markdown
from distill.report.results import Entry, Outcomes, Results
from distill.report.terminal import render

__all__ = ["Entry", "Outcomes", "Results", "leaderboard", "markdown", "render", "with_hops"]
