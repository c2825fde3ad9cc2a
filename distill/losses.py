"""Losses: pure functions, element by element. They return the shape they were given; `Objective` reduces."""

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
    """Cross-entropy against the teacher's probability, both softened: T^2 BCE(z / T, sigmoid(t / T)).

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
