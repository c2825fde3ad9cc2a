"""Activation unit: how much each step of a history matters to a candidate, by a perceptron that compares the two."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from distill.layers.linear import Linear
from distill.layers.mlp import MLP


class ActivationUnit(nn.Module):
    """`sum_j a_j h_j` with `a_j = W MLP([t, h_j, t - h_j, t * h_j])`, without a softmax.

    Zhou et al., Deep Interest Network for Click-Through Rate Prediction, KDD 2018, section 4.3: weights are not made
    to sum to one, so that a user with much interest in the candidate has a longer vector. ReLU in place of Dice, which
    reads the statistics of a batch: here a row's score depends on that row alone.

    Args:
        width: numbers of a candidate, and of what it is compared with in each step.
        hidden: width of each layer of the perceptron.
    """

    def __init__(self, width: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.mlp = MLP(4 * width, hidden)
        self.output = Linear(self.mlp.width, 1)

    def forward(
        self,
        candidate: Float[Tensor, "*members rows width"],
        compared: Float[Tensor, "*members rows steps width"],
        steps: Float[Tensor, "*members rows steps inputs"],
        present: Bool[Tensor, "*members rows steps"],
    ) -> Float[Tensor, "*members rows inputs"]:
        """The steps, added up by how much they matter; zero where no step is present.

        Args:
            candidate: what is to be ranked.
            compared: what each step has in common with it.
            steps: all that is known of each step.
            present: which steps there are.
        """
        target = candidate.unsqueeze(-2).expand_as(compared)
        pairs = torch.cat([target, compared, target - compared, target * compared], -1)
        weight = self.output(self.mlp(pairs.flatten(-3, -2))).squeeze(-1).unflatten(-1, (-1, steps.shape[-2]))
        return ((weight * present).unsqueeze(-2) @ steps).squeeze(-2)
