"""Cost beside gain: what a run took, and what of it goes into each 0.01 % of NE."""

from collections.abc import Mapping
from typing import Any

from distill.report.lines import Row

STEP = 1e-4
"""0.01 % of NE."""


def cost(summary: Row, seconds: Mapping[str, float], scored: int, size: int) -> dict[str, Any]:
    """What the gain over the controls took. The controls' own training is in it: without them there is no verdict.

    Args:
        summary: of the leaderboard.
        seconds: stage -> seconds.
        scored: rows that the teacher scored.
        size: of the knowledge on disk, in bytes.
    """
    spent = {
        "teacher_seconds": seconds.get("teacher", 0.0),
        "student_seconds": seconds.get("students", 0.0),
        "teacher_calls": scored,
        "knowledge_bytes": size,
    }
    gain = summary["ne_gain"]
    steps = gain / STEP if gain is not None and gain > 0 else None
    return {
        **spent,
        "per_step": None if steps is None else {name: amount / steps for name, amount in spent.items()},
        "reason": "" if steps else "there is no gain to divide by",
    }
