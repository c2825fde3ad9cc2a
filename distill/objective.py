"""Objective: what a member's loss is. The only place that reduces."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor
from torch.utils._pytree import tree_map

from distill.adapter import fit
from distill.losses import binary_cross_entropy, logit_distillation
from distill.schedule import Schedule
from distill.types import Batch, Prediction, Signal


class Losses(NamedTuple):
    """What one step costs: a total to differentiate, and each member's share of it."""

    total: Float[Tensor, ""]
    member: Float[Tensor, " members"]


class Distillation(NamedTuple):
    """How members learn from what others say: vectors, so that a sweep and its controls are one fleet.

    Attributes:
        sources: name of a source in `Batch.knowledge` -> its weight in the mean of log-odds that is learnt from.
        weight: on the serving head the teacher's share of the blend; on the auxiliary head a factor. 0 for a control.
        temperature: divides both log-odds.
        head: which logit the teacher marks.
    """

    sources: Mapping[str, float]
    weight: Float[Tensor, " members"]
    temperature: Float[Tensor, " members"]
    head: Literal["serving", "auxiliary"]


class Matching(NamedTuple):
    """How members' representations come near those of one source of knowledge.

    Attributes:
        source: name of the source in `Batch.knowledge`.
        weight: factor of the loss, one a member; 0 for a control.
        loss: of student, teacher and the weight of each row; `[members, rows]`, one of `distill.losses`.
    """

    source: str
    weight: Float[Tensor, " members"]
    loss: Callable[[Tensor, Tensor, Tensor], Tensor]


class Ranking(NamedTuple):
    """How members learn the order of rows of one user or session from whom they learn marks.

    Attributes:
        weight: factor of the loss, one a member; 0 for a control.
        loss: of student, teacher, group and the weight of each row; `[members, rows, tasks]`, one of `distill.losses`.
    """

    weight: Float[Tensor, " members"]
    loss: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


class Moment(NamedTuple):
    """What a step has besides its rows and predictions.

    Attributes:
        progress: share of its steps that each member has behind it; None where no weight depends on it.
        refine: the members' adapters, of log-odds and representation; None where there are none.
    """

    progress: Float[Tensor, " members"] | None = None
    refine: Callable[[Tensor, Tensor], Tensor] | None = None


PLAIN = Moment()
"""No schedule, and marks as they are."""


class Costs(NamedTuple):
    """What each row costs, part by part, in nats.

    Attributes:
        label: cross-entropy with the labels.
        kept: share of it that is learnt from; the rest is the teacher's.
        distilled: everything that is learnt from others, by its weights.
        fitted: of the adapter, which is no part of the member's loss.
    """

    label: Float[Tensor, "members rows tasks"]
    kept: Float[Tensor, "members rows tasks"] | float
    distilled: Float[Tensor, "members rows"] | float
    fitted: Float[Tensor, "members rows tasks"] | float


class Objective:
    """Mean over rows by weight, sum over tasks and over members: members never feel each other.

    With `head: serving`, a row costs (1 - w) BCE(label) + w KD(teacher), and plain BCE where the teacher has not
    scored it. With `head: auxiliary`, the serving logit costs BCE(label), the other one w KD(teacher).
    """

    def __init__(
        self,
        distillation: Distillation | None = None,
        matching: Matching | None = None,
        ranking: Ranking | None = None,
        schedule: Schedule | None = None,
    ) -> None:
        self.distillation, self.matching = distillation, matching
        self.ranking, self.schedule = ranking, schedule

    def __call__(self, served: Prediction, taught: Prediction, batch: Batch, moment: Moment = PLAIN) -> Losses:
        """The losses of one step.

        Args:
            served: what would be served, `[members, rows, tasks]`.
            taught: what the teacher marks: logits of the same shape, and representations of the teacher's width. It is
                `served` itself where nothing stands beside the student.
            batch: the rows.
            moment: how far the members are, and who refines what the teacher says.
        """
        costs = self.costs(served, taught, batch, moment)
        weight = batch.weight / batch.weight.sum(-1, keepdim=True).clamp_min(1e-12)
        row = (costs.label * costs.kept).sum(-1) + costs.distilled
        member = (row * weight).sum(-1)
        if moment.refine is None:
            return Losses(member.sum(), member)
        return Losses(member.sum() + (costs.fitted.sum(-1) * weight).sum(), member)

    def costs(self, served: Prediction, taught: Prediction, batch: Batch, moment: Moment = PLAIN) -> Costs:
        """The parts of what each row costs; the arguments are those of a call."""
        label = batch.valid * binary_cross_entropy(served.logit, batch.label)
        kept, distilled, fitted = 1.0, 0.0, 0.0
        if self.distillation is not None:
            teacher, covered = heard(batch.knowledge, self.distillation.sources)
            if moment.refine is not None:
                teacher = moment.refine(teacher, served.representation.detach())
                fitted = fit(teacher, batch.label, batch.valid & covered[..., None])
                teacher = teacher.detach()
            share, marked = self._marked(taught, teacher, covered, moment)
            kept = 1 - share if self.distillation.head == "serving" else 1.0
            distilled = (marked * share).sum(-1)
            if self.ranking is not None:
                distilled = distilled + self._ranked(taught, teacher, covered, batch, moment, self.ranking)
        if self.matching is not None:
            distilled = distilled + self._matched(taught, batch, moment, self.matching)
        return Costs(label, kept, distilled, fitted)

    def of(self, places: Sequence[int]) -> "Objective":
        """The objective of the members at some places alone, at full weights: no schedule."""
        parts = (self.distillation, self.matching, self.ranking)
        pick = lambda one: one[list(places)] if isinstance(one, Tensor) else one  # noqa: E731
        return Objective(*tree_map(pick, parts))

    def _marked(
        self, taught: Prediction, teacher: Tensor, covered: Tensor, moment: Moment
    ) -> tuple[Float[Tensor, "members rows 1"], Float[Tensor, "members rows tasks"]]:
        """Weight and loss of each mark."""
        temperature = self.distillation.temperature.to(teacher)[: len(teacher), None, None]
        share = self._now(self.distillation.weight, teacher, moment)[:, None, None] * covered[..., None]
        return share, logit_distillation(taught.logit, teacher, temperature)

    def _ranked(
        self, taught: Prediction, teacher: Tensor, covered: Tensor, batch: Batch, moment: Moment, ranking: Ranking
    ) -> Float[Tensor, "members rows"]:
        order = ranking.loss(taught.logit, teacher, batch.group, batch.weight * covered)
        return order.sum(-1) * covered * self._now(ranking.weight, order, moment)[:, None]

    def _matched(
        self, taught: Prediction, batch: Batch, moment: Moment, matching: Matching
    ) -> Float[Tensor, "members rows"]:
        teacher, covered = batch.knowledge[matching.source]
        near = matching.loss(taught.representation, teacher.representation, batch.weight * covered)
        return near * covered * self._now(matching.weight, near, moment)[:, None]

    def _now(self, weight: Float[Tensor, " all"], like: Tensor, moment: Moment) -> Float[Tensor, " members"]:
        """A weight of the members that are still in the stack, as it is at this moment."""
        weight = weight.to(like)[: len(like)]
        if self.schedule is None or moment.progress is None:
            return weight
        return weight * self.schedule.share(moment.progress).to(like)


def heard(
    knowledge: Mapping[str, Signal], sources: Mapping[str, float]
) -> tuple[Float[Tensor, "members rows tasks"], Bool[Tensor, "members rows"]]:
    """The weighted mean of the log-odds of all sources that scored a row, and which rows any of them scored."""
    if len(sources) == 1:
        said, covered = knowledge[next(iter(sources))]
        return said.logit, covered
    signals = [knowledge[name] for name in sources]
    weights = [weight * one.covered[..., None] for weight, one in zip(sources.values(), signals, strict=True)]
    total = sum(weight * one.prediction.logit for weight, one in zip(weights, signals, strict=True))
    return total / sum(weights).clamp_min(1e-12), sum(one.covered for one in signals) > 0
