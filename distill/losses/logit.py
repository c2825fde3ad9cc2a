"""The logit channel, row by row: a student's log-odds against a label, or against a teacher's log-odds."""

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid


def binary_cross_entropy(logit: Float[Tensor, "*batch"], target: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Cross-entropy of a click, in nats: -y log p - (1 - y) log(1 - p), with p = sigmoid(logit).

    Args:
        logit: natural log-odds.
        target: a label (0 or 1), or a probability.

    Example:
        >>> import math, torch
        >>> loss = binary_cross_entropy(torch.zeros(1), torch.ones(1))
        >>> math.isclose(loss.item(), math.log(2), rel_tol=1e-6)
        True
    """
    # log(1 - sigmoid(x)) is logsigmoid(-x), which does not lose its digits where p is near 1.
    return -target * logsigmoid(logit) - (1 - target) * logsigmoid(-logit)


def logit_distillation(
    logit: Float[Tensor, "*batch"],
    teacher_logit: Float[Tensor, "*batch"],
    temperature: Float[Tensor, "..."] | float = 1.0,
) -> Float[Tensor, "*batch"]:
    """Cross-entropy against the teacher's probability, both softened: T^2 BCE(z / T, sigmoid(t / T)), in nats.

    T^2 keeps the size of the gradient: as T grows, the loss approaches (z - t)^2 / 8 plus a constant.
    The binary form is used because a softmax over a single logit is constant and has no gradient at all.

    Args:
        logit: the student's log-odds.
        teacher_logit: the teacher's log-odds; no gradient flows into it.
        temperature: a number, or one that broadcasts against the batch.

    References:
        Hinton, Vinyals, Dean: Distilling the Knowledge in a Neural Network, 2015, section 2.
    """
    target = (teacher_logit.detach() / temperature).sigmoid()
    return temperature**2 * binary_cross_entropy(logit / temperature, target)


def logit_mse(logit: Float[Tensor, "*batch"], teacher_logit: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Squared difference of log-odds: (z - t)^2.

    A row's gradient, 2 (z - t), is the same whether clicks are rare or common; that of a cross-entropy shrinks with
    p (1 - p). Adding one number to both sides changes nothing.

    Args:
        logit: the student's log-odds.
        teacher_logit: the teacher's log-odds; no gradient flows into it.

    References:
        Ba, Caruana: Do Deep Nets Really Need to be Deep?, 2014.
    """
    return (logit - teacher_logit.detach()) ** 2


def scaled_label(
    teacher_logit: Float[Tensor, "*batch"], scale: Float[Tensor, "..."] | float
) -> Float[Tensor, "*batch"]:
    """The teacher's probability made larger: min(1, scale sigmoid(t)), a target for `binary_cross_entropy`.

    Where clicks are rare, all of a teacher's probabilities lie close to 0 and hardly differ; this spreads them out.
    What is learned from it is no longer the probability of a click, so it belongs on an auxiliary head alone.
    Everything above 1 / scale becomes the same label 1.

    Args:
        teacher_logit: the teacher's log-odds; no gradient flows into it.
        scale: a number, or one that broadcasts against the batch.

    References:
        Liang et al.: External Large Foundation Model (ExFM), 2025, section 3.3.

    Example:
        >>> import torch
        >>> scaled_label(torch.tensor([0.02, 0.1, 0.5]).logit(), 5.0)
        tensor([0.1000, 0.5000, 1.0000])
    """
    return (scale * teacher_logit.detach().sigmoid()).clamp_max(1)


def scaled_gradient(tensor: Float[Tensor, "*batch"], scale: Float[Tensor, "..."] | float) -> Float[Tensor, "*batch"]:
    """The same values, whose gradient arrives at what is behind them `scale` times as large.

    Between a backbone and its auxiliary head it sets how much the teacher moves the backbone, without moving the head
    more. For the backbone only the product of this scale and the weight of the loss counts; the head feels the weight
    alone, and an optimizer such as Adam, which divides by the size of the gradient, makes it indifferent to that. So
    the scale of the label and this product are two knobs to search, not three.

    Args:
        tensor: what the head reads.
        scale: a number, or one that broadcasts against the tensor.

    References:
        Liang et al.: External Large Foundation Model (ExFM), 2025, section 3.3.
    """
    fixed = tensor.detach()
    return fixed + scale * (tensor - fixed)
