"""Adapter: what a teacher says, refined by fresh labels, before students learn from it. It is never served."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from distill.layers import Linear
from distill.losses import binary_cross_entropy

Form = Literal["platt", "mlp"]

HIDDEN = 8
"""Width of the hidden layer of an `mlp`."""


class Adapter(nn.Module):
    """Refines the teacher's log-odds of a student's rows; at first it says what the teacher says.

    `platt` is z' = (1 + a) z + b, two numbers a task: they mend a wrong temperature and a shifted base rate. `mlp` adds
    a small network of z and the student's representation, for a teacher that is wrong about some rows and right about
    others. It learns from labels alone, and the student from what it says: neither moves the other.

    Args:
        form: what it may mend.
        tasks: of the log-odds.
        width: of the student's representation.
        rate: how fast it learns, as a multiple of the student's learning rate: it has few steps and far to go.

    References:
        Liang et al.: External Large Foundation Model (ExFM), 2025, section 3.4 (the student adapter); Platt:
        Probabilistic Outputs for Support Vector Machines, 1999.
    """

    def __init__(self, form: Form, tasks: int, width: int, rate: float) -> None:
        super().__init__()
        self.slope, self.shift = nn.Parameter(torch.zeros(tasks)), nn.Parameter(torch.zeros(tasks))
        self.register_buffer("rate", torch.tensor(rate))
        self.hidden = Linear(tasks + width, HIDDEN) if form == "mlp" else None
        self.head = Linear(HIDDEN, tasks) if form == "mlp" else None
        if self.head is not None:
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)

    def forward(
        self, logit: Float[Tensor, "*members rows tasks"], representation: Float[Tensor, "*members rows width"]
    ) -> Float[Tensor, "*members rows tasks"]:
        """The refined log-odds.

        Args:
            logit: what the teacher says.
            representation: what the student makes of the rows; no gradient flows into it.
        """
        rate = self.rate[..., None, None]  # Adam's step has one size: a parameter that counts tenfold learns tenfold.
        refined = logit * (1 + rate * self.slope.unsqueeze(-2)) + rate * self.shift.unsqueeze(-2)
        if self.hidden is None or self.head is None:
            return refined
        seen = torch.cat([logit, representation.detach().to(logit)], -1)
        return refined + self.head(self.hidden(seen).relu())


def fit(
    refined: Float[Tensor, "*members rows tasks"],
    label: Float[Tensor, "*members rows tasks"],
    counts: Bool[Tensor, "*members rows tasks"],
) -> Float[Tensor, "*members rows tasks"]:
    """What an adapter learns from: the cross-entropy of what it says with the labels, in nats; 0 where none counts.

    Args:
        refined: what it says.
        label: 0 or 1.
        counts: whether there is a label, and the teacher has scored the row.
    """
    return binary_cross_entropy(refined, label) * counts
