"""What helps learning and is never served: heads that stand beside the student and are left out of every export."""

from torch import nn

from distill.layers import Linear
from distill.types import Prediction


class AuxiliaryHead(nn.Module):
    """A second logit on the student's representation, for the teacher to mark.

    The serving logit then never sees the teacher directly, so a biased teacher cannot bias what is served.

    References:
        Liang et al.: External Large Foundation Model (ExFM), 2025, section 3.3.
    """

    def __init__(self, width: int, tasks: int) -> None:
        super().__init__()
        self.linear = Linear(width, tasks)

    def forward(self, served: Prediction) -> Prediction:
        """What the teacher marks: another logit `[rows, tasks]` on the same representation."""
        return Prediction(self.linear(served.representation), served.representation)
