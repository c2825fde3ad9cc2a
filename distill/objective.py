"""Objective: what a member's loss is. The only place that reduces."""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor

from distill.ensemble import Heard, certainty, heard, recent
from distill.losses import binary_cross_entropy, logit_distillation
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
    """

    sources: Mapping[str, Tensor | float]
    weight: Float[Tensor, " members"]
    temperature: Float[Tensor, " members"]
    head: Literal["serving", "auxiliary"]
    recent: Float[Tensor, " members"] | None = None
    certainty: Float[Tensor, " members"] | None = None

    def hear(self, batch: Batch, taught: Prediction | Taught) -> Heard:
        """What the sources say of a batch together."""
        live, like = len(batch.label), batch.label
        sources = {name: _of_each(weight, like) for name, weight in self.sources.items()}
        scores = []
        if self.recent is not None:
            standing = {name: batch.standing[name] for name in sources}
            scores.append(recent(standing, self.recent.to(like)[:live]))
        if isinstance(taught, Taught):
            scores.append(taught.gate.movedim(-1, 0)[..., None])
        return heard(batch.knowledge, sources, sum(scores) if scores else None)

    def shares(self, said: Heard) -> Float[Tensor, "members rows tasks"]:
        """The weight of each mark: the member's, where anybody has scored the row and as far as they agree."""
        live = len(said.logit)
        share = self.weight.to(said.logit)[:live, None, None] * said.covered[..., None]
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


class Objective:
    """Mean over rows by weight, sum over tasks and over members: members never feel each other.

    With `head: serving`, a row costs (1 - w) BCE(label) + w KD(teacher), and plain BCE where the teacher has not
    scored it. With `head: auxiliary`, the serving logit costs BCE(label), the other one w KD(teacher). What a gate
    costs is no member's loss, since it teaches the gate alone.
    """

    def __init__(self, distillation: Distillation | None = None, matching: Matching | None = None) -> None:
        self.distillation, self.matching = distillation, matching

    def __call__(self, served: Prediction, taught: Prediction | Taught, batch: Batch) -> Losses:
        """The losses of one step.

        Args:
            served: what would be served, `[members, rows, tasks]`.
            taught: what the teacher marks: logits of the same shape, and representations of the teacher's width. It is
                `served` itself where nothing stands beside the student.
            batch: the rows.
        """
        said = self.distillation.hear(batch, taught) if self.distillation else None
        row = self._rows(served, taught, batch, said).sum(-1)
        if self.matching is not None:
            row = row + self._matched(taught, batch, self.matching)
        weight = batch.weight.to(row.dtype)
        weight = weight / weight.sum(-1, keepdim=True).clamp_min(1e-12)
        member = (row * weight).sum(-1)
        if not isinstance(taught, Taught):
            return Losses(member.sum(), member)
        return Losses(member.sum() + (self._gated(batch, said).sum(-1) * weight).sum(), member)

    def _rows(
        self, served: Prediction, taught: Prediction | Taught, batch: Batch, said: Heard | None
    ) -> Float[Tensor, "members rows tasks"]:
        label = batch.valid * binary_cross_entropy(served.logit, batch.label)
        if said is None:
            return label
        share, temperature = self.distillation.shares(said), self.distillation.temperature.to(label)
        marked = logit_distillation(taught.logit, said.logit, temperature[: len(label), None, None])
        return label * (1 - share) + marked * share if self.distillation.head == "serving" else label + marked * share

    def _gated(self, batch: Batch, said: Heard) -> Float[Tensor, "members rows tasks"]:
        """What the gate learns from: the labels, by what the teachers say as it weighs them."""
        asked = (self.distillation.weight.to(said.logit) > 0)[: len(said.logit), None, None]
        return asked * said.covered[..., None] * batch.valid * binary_cross_entropy(said.logit, batch.label)

    def _matched(self, taught: Prediction | Taught, batch: Batch, matching: Matching) -> Float[Tensor, "members rows"]:
        teacher, covered = batch.knowledge[matching.source]
        near = matching.loss(taught.representation, teacher.representation, batch.weight * covered)
        return near * covered * matching.weight.to(near)[: len(near), None]


def _of_each(weight: Tensor | float, like: Float[Tensor, "members rows tasks"]) -> Float[Tensor, " members"]:
    """A weight for each member that is still in the stack."""
    return weight.to(like)[: len(like)] if isinstance(weight, Tensor) else like.new_full(like.shape[:1], weight)
