"""The one place that reduces, by hand."""

import math

import pytest
import torch

from distill.objective import Distillation, Objective
from distill.types import Batch, Features, Prediction, Signal

NOTHING = Features(torch.zeros(0), torch.zeros(0), torch.zeros(0), {}, {})


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def batch(covered: torch.Tensor, weight: torch.Tensor) -> Batch:
    members, rows = covered.shape
    label = (torch.arange(members * rows).view(members, rows, 1) % 2).double()
    teacher = Prediction(torch.full((members, rows, 1), logit(0.8)).double(), torch.zeros(members, rows, 0))
    return Batch(
        NOTHING, label, torch.ones_like(label, dtype=torch.bool), weight, {"teacher": Signal(teacher, covered)}
    )


def prediction(p: float, members: int, rows: int) -> Prediction:
    return Prediction(torch.full((members, rows, 1), logit(p)).double(), torch.zeros(members, rows, 0))


def test_a_blend_by_hand() -> None:
    """Half label, half teacher where it is covered; the label alone where it is not, and for the control."""
    objective = Objective(Distillation("teacher", torch.tensor([0.5, 0.0]), torch.ones(2), "serving"))
    covered = torch.tensor([[True, False], [True, True]])
    said = prediction(0.6, 2, 2)
    losses = objective(said, said, batch(covered, torch.ones(2, 2)))
    click, other = -math.log(0.6), -math.log(0.4)
    teacher = 0.8 * click + 0.2 * other
    assert losses.member.tolist() == pytest.approx([(0.5 * other + 0.5 * teacher + click) / 2, (other + click) / 2])
    assert losses.total.item() == pytest.approx(losses.member.sum().item())


def test_the_auxiliary_head_alone_feels_the_teacher() -> None:
    """The serving logit's gradient is that of its labels."""
    objective = Objective(Distillation("teacher", torch.tensor([3.0]), torch.ones(1), "auxiliary"))
    served, taught = torch.zeros(1, 2, 1).double().requires_grad_(), torch.zeros(1, 2, 1).double().requires_grad_()
    rows = batch(torch.ones(1, 2, dtype=torch.bool), torch.ones(1, 2))
    objective(Prediction(served, served[..., :0]), Prediction(taught, taught[..., :0]), rows).total.backward()
    assert served.grad.flatten().tolist() == pytest.approx([0.25, -0.25])
    assert taught.grad.flatten().tolist() == pytest.approx([3 * (0.5 - 0.8) / 2] * 2)


def test_fills_and_missing_labels_weigh_nothing() -> None:
    """A row of weight 0 changes neither the sum nor the mean; a task without a label costs nothing."""
    said = prediction(0.6, 1, 2)
    rows = batch(torch.ones(1, 2, dtype=torch.bool), torch.tensor([[1.0, 0.0]]))
    assert Objective()(said, said, rows).total.item() == pytest.approx(-math.log(0.4))
    unlabelled = rows._replace(valid=torch.zeros(1, 2, 1, dtype=torch.bool))
    assert Objective()(said, said, unlabelled).total.item() == 0.0
