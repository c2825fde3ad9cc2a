"""Cost beside gain: what a run took, what of it goes into each 0.01 % of NE, and when domain models pay."""

import math
from collections.abc import Mapping
from typing import Any

from distill.report.lines import Row

STEP = 1e-4
"""0.01 % of NE."""


def cost(
    summary: Row, seconds: Mapping[str, float], scored: int, size: int, cpu: Mapping[str, float] = {}
) -> dict[str, Any]:
    """What the gain over the controls took. The controls' own training is in it: without them there is no verdict.

    Args:
        summary: of the leaderboard.
        seconds: stage -> seconds of the clock on the wall; where a stage has an accelerator, of that too.
        scored: rows that the teacher scored.
        size: of the knowledge on disk, in bytes.
        cpu: stage -> seconds of all processors, those of ended processes among them.
    """
    spent = {
        "teacher_seconds": seconds.get("teacher", 0.0),
        "domain_seconds": seconds.get("domains", 0.0),
        "student_seconds": seconds.get("students", 0.0),
        "teacher_cpu_seconds": cpu.get("teacher", 0.0),
        "domain_cpu_seconds": cpu.get("domains", 0.0),
        "student_cpu_seconds": cpu.get("students", 0.0),
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


def students_to_pay(table: Row, plain: Row, better_by: float) -> tuple[int | None, str]:
    """From how many students the domain models of a run pay, and why there is no such number.

    They are trained once for all students. Spread over enough of these, they cost a student less than what the plain
    run spends on a student for as much gain.

    Args:
        table: leaderboard of a run with domain models.
        plain: of one without.
        better_by: NE of the plain run's students minus that of the run's.
    """
    layer, price = table.get("cost", {}).get("domain_seconds"), plain.get("cost", {}).get("per_step")
    if not layer:
        return None, "the run has no domain models"
    if not better_by > 0:
        return None, "the domain models gain nothing over the baseline"
    if price is None or not plain["summary"]["students"]:
        return None, "the baseline gains nothing, so that its gain has no price"
    a_student = price["student_seconds"] / plain["summary"]["students"]
    return math.ceil(layer / (a_student * better_by / STEP)) if a_student else None, ""
