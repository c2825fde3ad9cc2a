"""Report: the numbers that a user decides from, and how they are shown."""

from distill.report.adapters import with_adapters
from distill.report.comparison import comparison, flat
from distill.report.gates import Refusal, passed, refusals
from distill.report.hops import with_hops
from distill.report.leaderboard import leaderboard
from distill.report.lines import Choice
from distill.report.note import markdown, student_note
from distill.report.page import Facts, drawings, page
from distill.report.results import Entry, Outcomes, Results
from distill.report.side_by_side import side_by_side
from distill.report.sweep_page import sweep_page
from distill.report.teachers import entropy_of, mean_spread
from distill.report.terminal import render

__all__ = [
    "Choice",
    "Entry",
    "Facts",
    "Outcomes",
    "Refusal",
    "Results",
    "comparison",
    "drawings",
    "entropy_of",
    "flat",
    "leaderboard",
    "markdown",
    "mean_spread",
    "page",
    "passed",
    "refusals",
    "render",
    "side_by_side",
    "student_note",
    "sweep_page",
    "with_adapters",
    "with_hops",
]
