"""Adam by torch's own fused kernel: one pass over memory."""

from collections.abc import Sequence

import torch
from torch import Tensor

from distill.optimizer.rates import Step

EPSILON = 1e-8


def adam(
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor],
    means: Sequence[Tensor],
    squares: Sequence[Tensor],
    step: Step,
    l2: float = 0.0,
) -> None:
    """Steps some tensors of one member in place, with decoupled weight decay and perhaps L2.

    Kingma, Ba: Adam, 2015. Loshchilov, Hutter: Decoupled Weight Decay Regularization, 2019.
    """
    kernel, decay = torch._fused_adamw_, step.weight_decay
    if l2:
        torch._foreach_mul_(parameters, 1 - step.learning_rate * step.weight_decay)
        kernel, decay = torch._fused_adam_, l2  # Adam's own weight decay is L2 in the loss.
    kernel(
        parameters,
        gradients,
        means,
        squares,
        [],
        [step.number] * len(parameters),
        lr=step.learning_rate,
        beta1=step.beta1,
        beta2=step.beta2,
        weight_decay=decay,
        eps=EPSILON,
        amsgrad=False,
        maximize=False,
    )
