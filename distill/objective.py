"""Objective: what a member's loss is. The only place that reduces."""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor

from distill.losses import binary_cross_entropy, logit_distillation
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


class Objective:
    """Mean over rows by weight, sum over tasks and over members: members never feel each other.

    With `head: serving`, a row costs (1 - w) BCE(label) + w KD(teacher), and plain BCE where the teacher has not
    scored it. With `head: auxiliary`, the serving logit costs BCE(label), the other one w KD(teacher).
    """

    def __init__(self, distillation: Distillation | None = None, matching: Matching | None = None) -> None:
        self.distillation, self.matching = distillation, matching

    def __call__(self, served: Prediction, taught: Prediction, batch: Batch) -> Losses:
        """The losses of one step.

        Args:
            served: what would be served, `[members, rows, tasks]`.
            taught: what the teacher marks: logits of the same shape, and representations of the teacher's width. It is
                `served` itself where nothing stands beside the student.
            batch: the rows.
        """
        row = self._rows(served, taught, batch).sum(-1)
        if self.matching is not None:
            row = row + self._matched(taught, batch, self.matching)
        weight = batch.weight.to(row.dtype)
        weight = weight / weight.sum(-1, keepdim=True).clamp_min(1e-12)
        member = (row * weight).sum(-1)
        return Losses(member.sum(), member)

    def _rows(self, served: Prediction, taught: Prediction, batch: Batch) -> Float[Tensor, "members rows tasks"]:
        label = batch.valid * binary_cross_entropy(served.logit, batch.label)
        if self.distillation is None:
            return label
        sources, weight, temperature, head = self.distillation
        weight, temperature = weight.to(label), temperature.to(label)
        teacher, covered = heard(batch.knowledge, sources)
        share = weight[: len(label), None, None] * covered[..., None]
        marked = logit_distillation(taught.logit, teacher, temperature[: len(label), None, None])
        return label * (1 - share) + marked * share if head == "serving" else label + marked * share

    def _matched(self, taught: Prediction, batch: Batch, matching: Matching) -> Float[Tensor, "members rows"]:
        teacher, covered = batch.knowledge[matching.source]
        near = matching.loss(taught.representation, teacher.representation, batch.weight * covered)
        return near * covered * matching.weight.to(near)[: len(near), None]


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
