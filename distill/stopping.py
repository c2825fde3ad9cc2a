"""Stopping: after which pass a student has learned enough. One rule for both arms."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from distill.member import Member, by_group
from distill.recipe.sections import Criterion, Stopping


class Validation(NamedTuple):
    """How a member did on its validation rows after each of its passes.

    Attributes:
        cross_entropy: sums of weighted cross-entropy, `[passes]`; NaN after a pass that failed.
        base_entropy: the same sum for a constant prediction at the rows' own click rate.
        clicks: number of clicks.
        others: number of rows without a click.
        misordered: weight of the pairs of a click and a non-click that are scored in the wrong order, `[passes]`; empty
            where students were trained before it was taken down.
    """

    cross_entropy: np.ndarray
    base_entropy: float
    clicks: int
    others: int
    misordered: np.ndarray = np.array([])

    def cost(self, by: Criterion) -> np.ndarray:
        """What is to be least, `[passes]`."""
        return self.misordered if by == "auc" and len(self.misordered) else self.cross_entropy


def own_decision(validation: Validation, rule: Stopping) -> int | None:
    """The pass, from 1, at which a member's own NE is least, or its AUC greatest; None if its rows are too few."""
    if min(validation.clicks, validation.others) < rule.own_positives:
        return None
    return _least(validation.cost(rule.by))


def group_decision(validations: Sequence[Validation], rule: Stopping) -> int:
    """The pass, from 1, at which the pooled cost of a group is least; its last one if nobody has validation rows.

    Numerators and denominators are summed, never NE or AUC averaged. Members that failed on the way do not vote.
    """
    costs = [one.cost(rule.by) for one in validations if one.base_entropy > 0]
    usable = [one for one in costs if np.isfinite(one).all()]
    if not usable:
        return max(len(one.cross_entropy) for one in validations)
    return _least(np.sum(usable, axis=0))


def decide(
    members: Sequence[Member],
    validations: Sequence[Validation],
    rule: Stopping,
    settled: Mapping[str, int],
) -> tuple[list[int], dict[str, int]]:
    """After which pass each member is taken.

    A group decides once. A member that comes later keeps to what its group has `settled`, so that it changes nobody.

    Args:
        members: of whole groups, as far as they are not settled.
        validations: one a member.
        rule: from how many clicks a member decides for itself, and by what.
        settled: group -> pass, from earlier.

    Returns:
        The pass of each member, and what is settled now.
    """
    own = [own_decision(validation, rule) for validation in validations]
    now = dict(settled)
    for group, places in by_group(members).items():
        small = [validations[place] for place in places if own[place] is None]
        if small and group not in now:
            now[group] = group_decision(small, rule)
    return [choice or now[member.group] for choice, member in zip(own, members, strict=True)], now


def setbacks(costs: Sequence[float | None]) -> int:
    """How many passes were no better than the best one before; None stands for one that is not there.

    >>> setbacks([3.0, 2.0, 2.5, 2.0, 1.0, None])
    2
    """
    there = np.array([cost for cost in costs if cost is not None])
    return int((there[1:] >= np.minimum.accumulate(there)[:-1]).sum()) if len(there) else 0


def _least(cross_entropy: np.ndarray) -> int:
    finite = np.where(np.isfinite(cross_entropy), cross_entropy, np.inf)
    return int(finite.argmin()) + 1
