"""Agreement: whether what students learn from their teacher pulls the way their labels do, an early sign of harm."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn

from distill.learner import Learner
from distill.objective import Moment
from distill.types import Batch

ROWS = 128
"""Rows on which gradients are compared: the sign of the cosine is all that is read from it."""


class Agreement(Callback):
    """Hands over, at the end of each pass of a distilled member, the cosine of its two gradients.

    Args:
        pass_steps: steps of one pass of each member.
        asked: which members are looked at.
        batch: the rows for the members at some places, the same at every pass.
        keep: called with a member's place and its cosine.
    """

    def __init__(
        self,
        pass_steps: Tensor,
        asked: Bool[Tensor, " members"],
        batch: Callable[[list[int]], Batch],
        keep: Callable[[int, float], None],
    ) -> None:
        self.pass_steps, self.asked, self.batch, self.keep = pass_steps, asked, batch, keep

    def on_train_batch_end(self, trainer: Trainer, learner: Learner, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Looks at the members whose pass ends with this step."""
        live, steps_done = len(learner.fleet), learner.first_step + batch_idx + 1
        places = ((steps_done % self.pass_steps[:live] == 0) & self.asked[:live]).nonzero().flatten().tolist()
        if places:
            learner.fleet.eval()
            for place, cosine in zip(places, cosines(learner, self.batch(places), places), strict=True):
                self.keep(place, cosine)
            learner.fleet.train()


@torch.enable_grad()
def cosines(learner: Learner, batch: Batch, places: Sequence[int]) -> list[float]:
    """Cosine of the gradients of label and teacher, over all of a student's weights but its embeddings.

    NaN where one of them is zero. Weights of the recipe count among the channels, not between them and the label.

    Args:
        learner: of the stack.
        batch: rows of the members at `places`.
        places: of the members.

    References:
        Du et al.: Adapting Auxiliary Losses Using Gradient Similarity, 2018.
    """
    batch = move_data_to_device(batch, learner.device)
    served = learner.fleet.some(places)(batch.features)
    taught = learner.heads.some(places)(served) if learner.heads else served
    refine = learner.adapters.some(places) if learner.adapters else None
    costs = learner.objective.of(places).costs(served, taught, batch, Moment(refine=refine))
    weights = learner.fleet.dense()
    ours, theirs = (
        _gradient((rows * batch.weight).sum(), weights, places) for rows in (costs.label.sum(-1), costs.distilled)
    )
    norm = ours.norm(dim=-1) * theirs.norm(dim=-1)
    return ((ours * theirs).sum(-1) / norm).tolist()


def _gradient(loss: Tensor, weights: Sequence[nn.Parameter], places: Sequence[int]) -> Float[Tensor, "places width"]:
    """Of each member's own weights, as one vector; rows of one batch have one weight, so a sum points as a mean."""
    found = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
    grads = [torch.zeros_like(one) if grad is None else grad for one, grad in zip(weights, found, strict=True)]
    return torch.cat([grad[list(places)].flatten(1) for grad in grads], 1)


def spread(rows: np.ndarray) -> np.ndarray:
    """`ROWS` of a member's rows, evenly spread; all of them where there are fewer."""
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), ROWS)).astype(int)]
