"""Stopping: after which pass a student has learned enough. One rule for both arms."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from distill.member import Member, by_group


class Validation(NamedTuple):
    """How a member did on its validation rows after each of its passes.

    Attributes:
        cross_entropy: sums of weighted cross-entropy, `[passes]`; NaN after a pass that failed.
        base_entropy: the same sum for a constant prediction at the rows' own click rate.
        clicks: number of clicks.
        others: number of rows without a click.
    """

    cross_entropy: np.ndarray
    base_entropy: float
    clicks: int
    others: int


def own_decision(validation: Validation, own_positives: int) -> int | None:
    """The pass, from 1, at which a member's own NE is least; None if its rows are too few to tell."""
    if min(validation.clicks, validation.others) < own_positives:
        return None
    return _least(validation.cross_entropy)


def group_decision(validations: Sequence[Validation]) -> int:
    """The pass, from 1, at which the pooled NE of a group is least; its last one if nobody has validation rows.

    Numerators and denominators are summed, never NE averaged. Members that failed on the way do not vote.
    """
    usable = [one.cross_entropy for one in validations if one.base_entropy > 0 and np.isfinite(one.cross_entropy).all()]
    if not usable:
        return max(len(one.cross_entropy) for one in validations)
    return _least(np.sum(usable, axis=0))


def decide(
    members: Sequence[Member],
    validations: Sequence[Validation],
    own_positives: int,
    settled: Mapping[str, int],
) -> tuple[list[int], dict[str, int]]:
    """After which pass each member is taken.

    A group decides once. A member that comes later keeps to what its group has `settled`, so that it changes nobody.

    Args:
        members: of whole groups, as far as they are not settled.
        validations: one a member.
        own_positives: clicks and non-clicks from which a member decides for itself.
        settled: group -> pass, from earlier.

    Returns:
        The pass of each member, and what is settled now.
    """
    own = [own_decision(validation, own_positives) for validation in validations]
    now = dict(settled)
    for group, places in by_group(members).items():
        small = [validations[place] for place in places if own[place] is None]
        if small and group not in now:
            now[group] = group_decision(small)
    return [choice or now[member.group] for choice, member in zip(own, members, strict=True)], now


def _least(cross_entropy: np.ndarray) -> int:
    finite = np.where(np.isfinite(cross_entropy), cross_entropy, np.inf)
    return int(finite.argmin()) + 1
