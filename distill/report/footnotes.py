"""Footnotes: why a student's share of the teacher's lead is missing, or has no interval, said once for all of them."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from distill.report.lines import Line

MARKS = "¹²³⁴⁵⁶⁷⁸⁹"

NAMED = 3
"""Verticals that a footnote names."""


class Footnote(NamedTuple):
    """One reason, the sign that stands for it, and the students that it holds for."""

    mark: str
    reason: str
    names: list[str]

    @property
    def text(self) -> str:
        """The line below the table."""
        more = len(self.names) - NAMED
        others = f" and {more} more" if more > 0 else ""
        return f"{self.mark} {self.reason} ({', '.join(self.names[:NAMED])}{others})."


def why_unsure(line: Line) -> str:
    """Why the share does not exist or has no interval; empty where it has one, and where there is no gain either."""
    undefined = line.row.get("undefined", {})
    if line.row["ne_gain"] is None:
        return ""
    missing = line.row["gap_closed"] is None
    reason = undefined.get("gap_closed" if missing else "gap_closed_low", "")
    return f"{'no gap' if missing else 'a gap without an interval'}: {reason}" if reason else ""


def footnotes(lines: Sequence[Line]) -> list[Footnote]:
    """A footnote for each reason, the commonest first; of more than nine, the others have none."""
    reasons = Counter(filter(None, map(why_unsure, lines)))
    return [
        Footnote(mark, reason, [line.name for line in lines if why_unsure(line) == reason])
        for mark, (reason, _) in zip(MARKS, reasons.most_common(), strict=False)
    ]


def marked(line: Line, notes: Sequence[Footnote]) -> str:
    """The sign of a student's footnote; empty where it has none."""
    reason = why_unsure(line)
    return next((note.mark for note in notes if note.reason == reason), "")
