"""The one place that reduces, by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distill.objective import Distillation, Objective, heard
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
    objective = Objective(Distillation({"teacher": 1.0}, torch.tensor([0.5, 0.0]), torch.ones(2), "serving"))
    covered = torch.tensor([[True, False], [True, True]])
    said = prediction(0.6, 2, 2)
    losses = objective(said, said, batch(covered, torch.ones(2, 2)))
    click, other = -math.log(0.6), -math.log(0.4)
    teacher = 0.8 * click + 0.2 * other
    assert losses.member.tolist() == pytest.approx([(0.5 * other + 0.5 * teacher + click) / 2, (other + click) / 2])
    assert losses.total.item() == pytest.approx(losses.member.sum().item())


def test_the_auxiliary_head_alone_feels_the_teacher() -> None:
    """The serving logit's gradient is that of its labels."""
    objective = Objective(Distillation({"teacher": 1.0}, torch.tensor([3.0]), torch.ones(1), "auxiliary"))
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


@given(st.lists(st.floats(0.01, 5), min_size=1, max_size=3), st.data())
def test_several_sources_are_heard_as_their_mean(weights: list[float], data: st.DataObject) -> None:
    """Of those that scored the row; against a loop over rows. A row that none scored is not covered."""
    rows = 4
    said = [data.draw(st.lists(st.floats(-9, 9), min_size=rows, max_size=rows)) for _ in weights]
    there = [data.draw(st.lists(st.booleans(), min_size=rows, max_size=rows)) for _ in weights]
    signals = {
        str(place): Signal(
            Prediction(torch.tensor([z]).double()[..., None], torch.zeros(1, rows, 0)), torch.tensor([c])
        )
        for place, (z, c) in enumerate(zip(said, there, strict=True))
    }
    logit, covered = heard(signals, dict(zip(signals, weights, strict=True)))
    for row in range(rows):
        own = [(w, z[row]) for w, z, c in zip(weights, said, there, strict=True) if c[row]]
        assert covered[0, row].item() == bool(own)
        if own:
            expected = sum(w * z for w, z in own) / sum(w for w, _ in own)
            assert logit[0, row, 0].item() == pytest.approx(expected, abs=1e-6)


def test_a_row_that_one_of_two_scored_is_taught_by_it_alone() -> None:
    """And costs what it would cost with that source only; one that none scored costs its label."""
    some = batch(torch.tensor([[True, False]]), torch.ones(1, 2))
    silent = Signal(some.knowledge["teacher"].prediction, torch.tensor([[False, False]]))
    two = some._replace(knowledge=some.knowledge | {"domain": silent})
    said, half = prediction(0.6, 1, 2), (torch.tensor([0.5]), torch.ones(1), "serving")
    alone = Objective(Distillation({"teacher": 1.0}, *half))(said, said, some)
    both = Objective(Distillation({"teacher": 0.5, "domain": 0.5}, *half))(said, said, two)
    assert both.total.item() == pytest.approx(alone.total.item())
