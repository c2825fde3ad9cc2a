"""Channels: what those of a recipe need besides marks, for the members of one stack: adapters, orders and groups."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from distill.adapter import Adapter
from distill.course import Course
from distill.fingerprint import derived_seed
from distill.fleet import Fleet, seeded
from distill.losses import LOSSES
from distill.member import Member
from distill.objective import Ranking


def adapters_of(course: Course, members: Sequence[Member], width: Callable[[], int]) -> Callable[[], Fleet] | None:
    """Makes what refines the teacher's log-odds, if the recipe asks for it; nobody listens to that of a control.

    Args:
        course: what the members are trained with.
        members: in the order of the stack.
        width: says how wide their representations are.
    """
    adapter = course.students.distill.logit.adapter
    if adapter is None:
        return None
    wide, tasks = width(), len(course.impressions.tasks)
    rates = [member.settings.get("adapter_rate", adapter.rate) for member in members]
    seeds = [derived_seed(member.random_seed, "adapter") for member in members]
    return lambda: Fleet(seeded(lambda place: Adapter(adapter.form, tasks, wide, rates[place]), seeds))


def ranking_of(course: Course, settings: Sequence[Mapping[str, float]]) -> Ranking | None:
    """How members learn the order within a group, if the recipe asks for it.

    Args:
        course: what the members are trained with.
        settings: of each.
    """
    channel = course.students.distill.ranking
    weight = torch.tensor([one.get("ranking_weight", 0.0) for one in settings])
    return Ranking(weight, LOSSES[channel.loss].function) if channel.weight else None


def groups_of(members: Sequence[Member], course: Course, rows: Sequence[np.ndarray]) -> list[np.ndarray | None] | None:
    """The groups of the training rows of those members that learn the order within one; None where nobody does.

    Args:
        members: in the order of the stack.
        course: what they are trained with.
        rows: their training rows.
    """
    if course.group is None:
        return None
    ranked = [one.settings.get("ranking_weight", 0.0) > 0 for one in members]
    return [course.group[own] if yes else None for own, yes in zip(rows, ranked, strict=True)]
