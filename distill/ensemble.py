"""Ensemble: what several teachers say of a row together, and how far apart they are."""

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from distill.types import Signal


class Heard(NamedTuple):
    """What a learner hears of a batch.

    Attributes:
        logit: the mean of the log-odds of all sources that scored a row, by their weights.
        covered: which rows a source of any weight has scored.
        spread: standard deviation of the log-odds by the same weights; 0 for one source alone.
    """

    logit: Float[Tensor, "*members rows tasks"]
    covered: Bool[Tensor, "*members rows"]
    spread: Float[Tensor, "*members rows tasks"]


def heard(
    knowledge: Mapping[str, Signal],
    sources: Mapping[str, Tensor | float],
    score: Float[Tensor, "sources *members rows #tasks"] | None = None,
) -> Heard:
    """The sources of a batch as one.

    Args:
        knowledge: what each source said.
        sources: name of a source -> its weight, perhaps one a member.
        score: natural logarithms of factors of the weights, row by row; without it they are what they are.

    Example:
        >>> from distill.types import Prediction
        >>> say = lambda z: Signal(Prediction(torch.full((1, 1), z), torch.zeros(1, 0)), torch.ones(1).bool())
        >>> both = heard({"a": say(1.0), "b": say(3.0)}, {"a": 1.0, "b": 1.0})
        >>> both.logit.item(), both.spread.item()
        (2.0, 1.0)
    """
    signals = [knowledge[name] for name in sources]
    if len(signals) == 1:
        said = signals[0].prediction.logit
        return Heard(said, signals[0].covered, torch.zeros_like(said))
    logit = torch.stack([one.prediction.logit for one in signals])
    pairs = zip(sources.values(), signals, strict=True)
    weight = torch.stack([torch.as_tensor(own)[..., None] * one.covered for own, one in pairs])[..., None].to(logit)
    share = shares(weight, score)
    return Heard((share * logit).sum(0), (weight > 0).any(0).squeeze(-1), _spread(share, logit))


def recent(
    standing: Mapping[str, Float[Tensor, "*members rows tasks"]], temperature: Float[Tensor, " members"]
) -> Float[Tensor, "sources *members rows tasks"]:
    """Scores of sources by how they stood shortly before a row: -NE / T.

    NE is a mean loss, so weights are those of the exponentially weighted forecaster, with one block for all its past.

    Args:
        standing: name of a source -> its normalized entropy.
        temperature: one a member.

    References:
        Cesa-Bianchi, Lugosi: Prediction, Learning, and Games, 2006, section 2.1. That the past is one block is ours:
        teachers become stale.
    """
    return -torch.stack(list(standing.values())) / temperature[:, None, None]


def shares(
    weight: Float[Tensor, "sources *members rows _"], score: Float[Tensor, "sources *members rows #tasks"] | None
) -> Float[Tensor, "sources *members rows _tasks"]:
    """`weight exp(score)` over its sum, however large the scores; zeros where no source has any weight.

    A source that alone has weight has the share 1, to the bit.
    """
    if score is not None:
        top = score.masked_fill(weight == 0, -torch.inf).amax(0)
        top = torch.where(top.isfinite(), top, 0).detach()
        weight = weight * (score - top).clamp_max(0).exp()
    total = weight.sum(0)
    return weight / torch.where(total > 0, total, 1)


def certainty(
    spread: Float[Tensor, "*members rows tasks"], scale: Float[Tensor, "..."] | float
) -> Float[Tensor, "*members rows tasks"]:
    """How much a mark counts: 1 / (1 + (spread / scale)^2), 1/2 where teachers lie `scale` apart.

    If the error of a mark has the variance spread^2, and what there is to know of a row beyond the label the variance
    scale^2, it is the reliability of the mark: the share of the second in the sum of both. To take the spread of an
    ensemble for the error of its mean is ours; no gradient flows into it.

    Args:
        spread: of the log-odds.
        scale: in log-odds; infinite where every mark counts alike.

    References:
        Lakshminarayanan, Pritzel, Blundell: Simple and Scalable Predictive Uncertainty Estimation using Deep
        Ensembles, 2017 (the spread of members that differ in their seed).

    Example:
        >>> certainty(torch.tensor([0.0, 0.5, 1.5]), 0.5)
        tensor([1.0000, 0.5000, 0.1000])
    """
    return 1 / (1 + (spread.detach() / scale) ** 2)


def _spread(
    share: Float[Tensor, "sources *members rows _"], logit: Float[Tensor, "sources *members rows tasks"]
) -> Float[Tensor, "*members rows tasks"]:
    """From the differences of all pairs, so that sources that agree are exactly 0 apart."""
    pairs = combinations(range(len(logit)), 2)
    return sum(share[one] * share[two] * (logit[one] - logit[two]) ** 2 for one, two in pairs).sqrt()
