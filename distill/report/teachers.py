"""Teachers: how each of several did on the test rows, beside what they say together."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from distill import metrics
from distill.report.results import Outcomes
from distill.report.scores import number

Row = dict[str, Any]


def entropy_of(outcomes: Mapping[str, Outcomes]) -> float | None:
    """NE of a teacher over all test rows, each vertical and task against its own base rate, as in the summary.

    Args:
        outcomes: vertical -> its test rows, with what this teacher said; where it scored less than all, there is no NE.
    """
    tallies = []
    for one in outcomes.values():
        if one.teacher is None or not one.covered[one.valid.any(axis=1)].all():
            return None
        for task, there in enumerate(one.valid.T):
            tallies.append(metrics.tally(one.teacher[there, task], one.label[there, task], one.weight[there]))
    return number(metrics.pool(tallies).normalized_entropy)


def mean_spread(spread: Mapping[str, np.ndarray], outcomes: Mapping[str, Outcomes]) -> float | None:
    """How far apart teachers are on average, in log-odds, over all test rows by weight.

    Args:
        spread: vertical -> standard deviation of the log-odds, [rows, tasks].
        outcomes: vertical -> its test rows.
    """
    worth = {name: one.weight[:, None] * one.valid for name, one in outcomes.items()}
    total = sum(one.sum() for one in worth.values())
    return number(sum((spread[name] * one).sum() for name, one in worth.items()) / total) if total else None


def described(table: Row) -> list[str]:
    """What a leaderboard says of its teachers, where there are several."""
    if not table.get("teachers"):
        return []
    known = [f"{one['ne']:.4f} for {one['name']}" for one in table["teachers"] if one["ne"] is not None]
    together = table["together"]
    if not known or together["ne"] is None:
        return []
    apart = f", and their log-odds lie {together['spread']:.2f} apart" if together["spread"] is not None else ""
    return [f"Of the teachers NE is {', '.join(known)}; together they have {together['ne']:.4f}{apart}."]
