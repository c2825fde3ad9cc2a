"""Objective: what a member's loss is. The only place that reduces."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor
from torch.utils._pytree import tree_map

from distill.adapter import fit
from distill.ensemble import Heard, certainty, heard, recent
from distill.losses import binary_cross_entropy, logit_distillation
from distill.schedule import Schedule
from distill.types import Batch, Prediction, Taught


class Losses(NamedTuple):
    """What one step costs: a total to differentiate, and each member's share of it."""

    total: Float[Tensor, ""]
    member: Float[Tensor, " members"]


class Distillation(NamedTuple):
    """How members learn from what others say: vectors, so that a sweep and its controls are one fleet.

    Attributes:
        sources: name of a source in `Batch.knowledge` -> its weight in the mean of log-odds that is learnt from,
            perhaps one a member.
        weight: on the serving head the teacher's share of the blend; on the auxiliary head a factor. 0 for a control.
        temperature: divides both log-odds.
        head: which logit the teacher marks.
        recent: temperature at which sources that did better shortly before a row count for more; None if nobody asks.
        certainty: spread of the sources at which a row's weight is halved; infinite for a member that does not ask.
        second: factor of a second auxiliary head, which learns what adapters say, while the first keeps the marks as
            they are; None where what adapters say takes the place of the marks.
    """

    sources: Mapping[str, Tensor | float]
    weight: Float[Tensor, " members"]
    temperature: Float[Tensor, " members"]
    head: Literal["serving", "auxiliary"]
    recent: Float[Tensor, " members"] | None = None
    certainty: Float[Tensor, " members"] | None = None
    second: Float[Tensor, " members"] | None = None

    def hear(self, batch: Batch, taught: Prediction | Taught) -> Heard:
        """What the sources say of a batch together."""
        live, like = len(batch.label), batch.label
        sources = {name: _of_each(weight, like) for name, weight in self.sources.items()}
        scores = []
        if self.recent is not None:
            standing = {name: batch.standing[name] for name in sources}
            scores.append(recent(standing, self.recent.to(like)[:live]))
        if gated(taught):
            scores.append(taught.gate.movedim(-1, 0)[..., None])
        return heard(batch.knowledge, sources, sum(scores) if scores else None)

    def shares(self, said: Heard, weight: Float[Tensor, " all"] | None = None) -> Float[Tensor, "members rows tasks"]:
        """The weight of each mark: the member's, where anybody has scored the row and as far as they agree."""
        live = len(said.logit)
        share = (self.weight if weight is None else weight).to(said.logit)[:live, None, None] * said.covered[..., None]
        if self.certainty is None:
            return share
        return share * certainty(said.spread, self.certainty.to(said.logit)[:live, None, None])


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
        fitted: of adapter and gate, which is no part of the member's loss.
    """

    label: Float[Tensor, "members rows tasks"]
    kept: Float[Tensor, "members rows tasks"] | float
    distilled: Float[Tensor, "members rows"] | float
    fitted: Float[Tensor, "members rows tasks"] | float


class Objective:
    """Mean over rows by weight, sum over tasks and over members: members never feel each other.

    With `head: serving`, a row costs (1 - w) BCE(label) + w KD(teacher), and plain BCE where the teacher has not
    scored it. With `head: auxiliary`, the serving logit costs BCE(label), the other one w KD(teacher), and a third,
    where there is one, w' KD(what the adapter says). What gates and adapters cost is no member's loss, since it teaches
    them alone.
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

    def __call__(self, served: Prediction, taught: Prediction | Taught, batch: Batch, moment: Moment = PLAIN) -> Losses:
        """The losses of one step.

        Args:
            served: what would be served, `[members, rows, tasks]`.
            taught: what the teacher marks: logits of the same shape, and representations of the teacher's width. It is
                `served` itself where nothing stands beside the student.
            batch: the rows.
            moment: how far the members are, and who refines what the teacher says.
        """
        costs = self.costs(served, taught, batch, moment)
        row = (costs.label * costs.kept).sum(-1) + costs.distilled
        weight = batch.weight.to(row.dtype)
        weight = weight / weight.sum(-1, keepdim=True).clamp_min(1e-12)
        member = (row * weight).sum(-1)
        if isinstance(costs.fitted, float):
            return Losses(member.sum(), member)
        return Losses(member.sum() + (costs.fitted.sum(-1) * weight).sum(), member)

    def costs(self, served: Prediction, taught: Prediction | Taught, batch: Batch, moment: Moment = PLAIN) -> Costs:
        """The parts of what each row costs; the arguments are those of a call."""
        label = batch.valid * binary_cross_entropy(served.logit, batch.label)
        kept, distilled, fitted = 1.0, 0.0, 0.0
        if self.distillation is not None:
            plain, second = self.distillation.hear(batch, taught), self.distillation.second
            refined, fitted = self._refined(plain, served, taught, batch, moment)
            said = refined if second is None else plain
            share, marked = self._marked(taught.logit, said, self.distillation.weight, moment)
            kept = 1 - share if self.distillation.head == "serving" else 1.0
            distilled = (marked * share).sum(-1)
            if second is not None:
                own, learnt = self._marked(taught.second, refined, second, moment)
                distilled = distilled + (learnt * own).sum(-1)
            if self.ranking is not None:
                distilled = distilled + self._ranked(taught, said, batch, moment, self.ranking)
        if self.matching is not None:
            distilled = distilled + self._matched(taught, batch, moment, self.matching)
        return Costs(label, kept, distilled, fitted)

    def of(self, places: Sequence[int]) -> "Objective":
        """The objective of the members at some places alone, at full weights: no schedule."""
        parts = (self.distillation, self.matching, self.ranking)
        pick = lambda one: one[list(places)] if isinstance(one, Tensor) else one  # noqa: E731
        return Objective(*tree_map(pick, parts))

    def _refined(
        self, said: Heard, served: Prediction, taught: Prediction | Taught, batch: Batch, moment: Moment
    ) -> tuple[Heard, Float[Tensor, "members rows tasks"] | float]:
        """What the sources say, by the adapters, and what gate and adapters learn from it."""
        fitted = self._gated(batch, said) if gated(taught) else 0.0
        if moment.refine is None:
            return said, fitted
        refined = moment.refine(said.logit.detach(), served.representation.detach())
        own = fit(refined, batch.label, batch.valid & said.covered[..., None])
        return said._replace(logit=refined.detach()), own + fitted

    def _gated(self, batch: Batch, said: Heard) -> Float[Tensor, "members rows tasks"]:
        """What the gate learns from: the labels, by what the teachers say as it weighs them."""
        asked = (self.distillation.weight.to(said.logit) > 0)[: len(said.logit), None, None]
        return asked * said.covered[..., None] * batch.valid * binary_cross_entropy(said.logit, batch.label)

    def _marked(
        self, logit: Float[Tensor, "members rows tasks"], said: Heard, weight: Float[Tensor, " all"], moment: Moment
    ) -> tuple[Float[Tensor, "members rows share"], Float[Tensor, "members rows tasks"]]:
        """Weight and loss of each mark."""
        temperature = self.distillation.temperature.to(said.logit)[: len(said.logit), None, None]
        share = self.distillation.shares(said, weight) * self._left(said.logit, moment)
        return share, logit_distillation(logit, said.logit, temperature)

    def _ranked(
        self, taught: Prediction | Taught, said: Heard, batch: Batch, moment: Moment, ranking: Ranking
    ) -> Float[Tensor, "members rows"]:
        order = ranking.loss(taught.logit, said.logit, batch.group, batch.weight * said.covered)
        return order.sum(-1) * said.covered * self._now(ranking.weight, order, moment)[:, None]

    def _matched(
        self, taught: Prediction | Taught, batch: Batch, moment: Moment, matching: Matching
    ) -> Float[Tensor, "members rows"]:
        teacher, covered = batch.knowledge[matching.source]
        near = matching.loss(taught.representation, teacher.representation, batch.weight * covered)
        return near * covered * self._now(matching.weight, near, moment)[:, None]

    def _now(self, weight: Float[Tensor, " all"], like: Tensor, moment: Moment) -> Float[Tensor, " members"]:
        """A weight of the members that are still in the stack, as it is at this moment."""
        return weight.to(like)[: len(like)] * self._left(like, moment).flatten()

    def _left(self, like: Tensor, moment: Moment) -> Float[Tensor, "members 1 1"]:
        """What the schedule leaves of the weights."""
        if self.schedule is None or moment.progress is None:
            return like.new_ones(len(like), 1, 1)
        return self.schedule.share(moment.progress).to(like)[:, None, None]


def gated(taught: Prediction | Taught) -> bool:
    """Whether a gate says how far each source is believed."""
    return isinstance(taught, Taught) and taught.gate.shape[-1] > 0


def _of_each(weight: Tensor | float, like: Float[Tensor, "members rows tasks"]) -> Float[Tensor, " members"]:
    """A weight for each member that is still in the stack."""
    return weight.to(like)[: len(like)] if isinstance(weight, Tensor) else like.new_full(like.shape[:1], weight)
