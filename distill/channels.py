"""Channels: what those of a recipe need for the members of one stack: objective, heads, adapters, orders, groups."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from distill.adapter import Adapter
from distill.agreement import ROWS, Agreement, spread
from distill.course import Course
from distill.data.impressions import TRAIN, View
from distill.feed import Feed
from distill.fingerprint import derived_seed
from distill.fleet import Fleet, seeded
from distill.heads import AuxiliaryHead, Beside, Gate, Projector
from distill.losses import LOSSES
from distill.member import SOURCE, Member
from distill.objective import Distillation, Matching, Ranking
from distill.panel import weights_of
from distill.sampling import FILL
from distill.types import Batch


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


def feed_of(
    course: Course, view: View, steps: Iterable[Int[Tensor, "members rows"]], seeds: Sequence[int], first: int = 0
) -> Feed:
    """The batches of members, with all that their course says of the rows.

    Args:
        course: what they are trained with.
        view: what they see.
        steps: the row numbers of each step.
        seeds: of the members.
        first: number of the first step.
    """
    heard, more = course.impressions.heard, (course.standing, course.group)
    return Feed(view, steps, seeds, course.sources, first, heard, course.matched, *more)


def agreement_of(
    members: Sequence[Member],
    course: Course,
    rows: Sequence[np.ndarray],
    pass_steps: Tensor,
    keep: Callable[[int, float], None],
) -> Agreement:
    """What tells, pass by pass, whether teacher and labels pull alike.

    Args:
        members: in the order of the stack.
        course: what they are trained with.
        rows: their training rows.
        pass_steps: steps of one pass of each.
        keep: called with a member's place and the cosine.
    """
    few, seeds, view = [spread(own) for own in rows], [one.random_seed for one in members], course.seen(members[0])

    def batch(places: list[int]) -> Batch:
        table = np.full((len(places), ROWS), FILL)
        for own, place in zip(table, places, strict=True):
            own[: len(few[place])] = few[place]
        own_seeds, steps = [seeds[place] for place in places], [torch.from_numpy(table)]
        return next(iter(feed_of(course, view, steps, own_seeds)))

    weights = ("logit_weight", "adapter_weight", "representation_weight", "ranking_weight")
    asked = [any(one.settings.get(name, 0.0) > 0 for name in weights) for one in members]
    return Agreement(pass_steps, torch.tensor(asked), batch, keep)


def distillation_of(course: Course, settings: Sequence[Mapping[str, float]]) -> Distillation:
    """How members learn from what others say.

    Args:
        course: what they are trained with.
        settings: of each.
    """
    channel, several = course.students.distill.logit, len(course.hears) > 1
    weights = [weights_of(course.hears, one) for one in settings]
    each = lambda name: torch.tensor([one.get(name, torch.inf) for one in settings])  # noqa: E731
    return Distillation(
        sources={name: torch.tensor([one[name] for one in weights]) for name in course.hears},
        weight=each("logit_weight"),
        temperature=each("temperature"),
        head=channel.head,
        recent=each("recent_temperature") if several and channel.combine.recent else None,
        certainty=each("certainty") if several else None,
        second=torch.tensor([one.get("adapter_weight", 0.0) for one in settings]) if channel.second else None,
    )


def matching_of(course: Course, settings: Sequence[Mapping[str, float]]) -> Matching | None:
    """How members' representations come near the teacher's, if the recipe asks for it; the arguments are the same."""
    channel = course.students.distill.representation
    weight = torch.tensor([one.get("representation_weight", 0.0) for one in settings])
    return Matching(SOURCE, weight, LOSSES[channel.loss].function) if channel.weight else None


def heads_of(course: Course, members: Sequence[Member]) -> Callable[[], Fleet] | None:
    """What stands beside the students, if the recipe asks for anything.

    Args:
        course: what the members are trained with.
        members: in the order of the stack.
    """
    distill, tasks = course.students.distill, len(course.impressions.tasks)
    matched = distill.representation
    second, near = distill.logit.head == "auxiliary", matched.weight > 0 and LOSSES[matched.loss].projected
    sources = len(course.hears) if distill.logit.combine.gate else 0
    if not (second or near or sources):
        return None
    width, wide = width_of(course, members[0]), course.knowledge.manifest.width
    apart = [derived_seed(member.random_seed, "auxiliary") for member in members]
    make = lambda _: Beside(  # noqa: E731
        AuxiliaryHead(width, tasks) if second else None,
        Projector(width, wide) if near else None,
        Gate(width, sources) if sources else None,
        AuxiliaryHead(width, tasks) if distill.logit.second else None,
    )
    return lambda: Fleet(seeded(make, apart))


def width_of(course: Course, member: Member) -> int:
    """Width of a student's representation."""
    view = course.seen(member)
    ranker = course.students.model.build(view.schema(member.vertical)).eval()
    row = torch.from_numpy(course.impressions.select(TRAIN, member.vertical)[:1])
    return ranker(view.take(row).features).representation.shape[-1]
