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


class Projector(nn.Module):
    """Brings the student's representation to the width of the teacher's, so that the two can be compared.

    References:
        Romero et al.: FitNets: Hints for Thin Deep Nets, 2015, section 2.2 (the regressor).
    """

    def __init__(self, width: int, wide: int) -> None:
        super().__init__()
        self.linear = Linear(width, wide)

    def forward(self, served: Prediction) -> Prediction:
        """What the teacher marks: the same logit, and the projected representation `[rows, wide]`."""
        return Prediction(served.logit, self.linear(served.representation))


class Beside(nn.Module):
    """What a recipe asks to stand beside a student: a second logit, a projector, or both."""

    def __init__(self, auxiliary: AuxiliaryHead | None, projector: Projector | None) -> None:
        super().__init__()
        self.auxiliary, self.projector = auxiliary, projector

    def forward(self, served: Prediction) -> Prediction:
        """What the teacher marks."""
        logit = self.auxiliary(served).logit if self.auxiliary else served.logit
        near = self.projector(served).representation if self.projector else served.representation
        return Prediction(logit, near)
