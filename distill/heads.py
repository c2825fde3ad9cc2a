"""What helps learning and is never served: heads that stand beside the student and are left out of every export."""

from jaxtyping import Float
from torch import Tensor, nn

from distill.layers import Linear
from distill.types import Prediction, Taught


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


class Gate(nn.Module):
    """How far each of several teachers is believed about a row, by what the student knows of it.

    It learns from labels how to weigh what the teachers say, and moves nothing else: no gradient reaches the student.
    Zeros at first, so that it begins without a preference. Ours, after the gates of mixtures of experts.

    References:
        Jacobs, Jordan, Nowlan, Hinton: Adaptive Mixtures of Local Experts, 1991.
    """

    def __init__(self, width: int, sources: int) -> None:
        super().__init__()
        self.linear = Linear(width, sources)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, served: Prediction) -> Float[Tensor, "*members rows sources"]:
        """Natural logarithms of factors of the teachers' weights."""
        return self.linear(served.representation.detach())


class Beside(nn.Module):
    """What a recipe asks to stand beside a student: a second logit, a projector, a gate, or several of them.

    Args:
        auxiliary: what the teacher marks, in the place of the served logit.
        projector: what its representation is compared with.
        gate: how far each of several teachers is believed.
        second: what the adapter's word marks, in the place of the teacher's.
    """

    def __init__(
        self,
        auxiliary: AuxiliaryHead | None,
        projector: Projector | None,
        gate: Gate | None = None,
        second: AuxiliaryHead | None = None,
    ) -> None:
        super().__init__()
        self.auxiliary, self.projector, self.gate, self.second = auxiliary, projector, gate, second

    def forward(self, served: Prediction) -> Prediction | Taught:
        """What the teacher marks."""
        logit = self.auxiliary(served).logit if self.auxiliary else served.logit
        near = self.projector(served).representation if self.projector else served.representation
        if self.gate is None and self.second is None:
            return Prediction(logit, near)
        none = served.logit[..., :0]
        gate = self.gate(served) if self.gate else none
        return Taught(logit, near, gate, self.second(served).logit if self.second else none)
