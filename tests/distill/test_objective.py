"""The one place that reduces, by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distill.ensemble import heard
from distill.heads import AuxiliaryHead, Beside, Projector
from distill.layers import Linear
from distill.losses import LOSSES, hint_mse, listwise
from distill.objective import Distillation, Matching, Moment, Objective, Ranking
from distill.schedule import Schedule
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
    logit, covered, _ = heard(signals, dict(zip(signals, weights, strict=True)))
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


MATCHED = [name for name, loss in LOSSES.items() if loss.channel == "representation"]


def told(rows: int, members: int = 1) -> Batch:
    """A batch with representations of a teacher, of which the last row has none."""
    covered = (torch.arange(rows) < rows - 1).expand(members, rows)
    known = batch(covered, torch.ones(members, rows)).knowledge["teacher"]
    hidden = torch.randn(members, rows, 4).double() * covered[..., None]
    signal = Signal(known.prediction._replace(representation=hidden), covered)
    return batch(covered, torch.ones(members, rows))._replace(knowledge={"teacher": signal})


def test_matching_by_hand() -> None:
    """The mean over all rows of what the covered ones cost, times the weight of the member, beside the labels."""
    rows, weight = told(3, members=2), torch.tensor([0.5, 2.0])
    said = prediction(0.6, 2, 3)
    near = Prediction(said.logit, torch.ones(2, 3, 4).double())
    found = (
        Objective(None, Matching("teacher", weight, hint_mse))(said, near, rows).member
        - Objective()(said, said, rows).member
    )
    gap = (1 - rows.knowledge["teacher"].prediction.representation).square().mean(-1)[:, :2].sum(-1) / 3
    assert found.tolist() == pytest.approx((weight * gap).tolist())


@pytest.mark.parametrize("name", MATCHED)
def test_a_control_beside_a_matched_student_feels_nothing(name: str) -> None:
    """Weight 0: the loss is that of its labels and its gradient exactly zero, wherever the vectors lie."""
    rows = told(6, members=3)
    hidden = torch.randn(3, 6, 4).double()
    hidden[2] = 0
    hidden.requires_grad_()
    said = prediction(0.6, 3, 6)
    matching = Matching("teacher", torch.tensor([0.7, 0.0, 0.0]), LOSSES[name].function)
    losses = Objective(None, matching)(said, Prediction(said.logit, hidden), rows)
    losses.total.backward()
    alone = Objective()(said, said, rows)
    assert torch.equal(losses.member[1:], alone.member[1:]) and losses.member[0] != alone.member[0]
    assert hidden.grad[0].any() and not hidden.grad[1:].any()


@pytest.mark.parametrize("name", MATCHED)
def test_the_serving_head_has_the_gradient_of_its_labels_alone(name: str) -> None:
    """To the bit, with an auxiliary head, with matching and with both; what lies below it feels the teacher."""
    rows, inputs = told(6), torch.randn(6, 3).double()
    body, head = Linear(3, 5).double(), Linear(5, 1).double()
    projector = Projector(5, 4).double() if LOSSES[name].projected else None
    marks = Distillation({"teacher": 1.0}, torch.tensor([3.0]), torch.ones(1), "auxiliary")
    near = Matching("teacher", torch.tensor([0.7]), LOSSES[name].function)

    def gradients(beside: Beside, *channels: object) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = body(inputs).tanh()
        served = Prediction(head(hidden), hidden)
        stacked = [Prediction(*(one[None] for one in said)) for said in (served, beside(served))]
        total = Objective(*channels)(*stacked, rows).total
        return torch.autograd.grad(total, (head.weight, body.weight))

    second = AuxiliaryHead(5, 1).double()
    own, below = gradients(Beside(None, None))
    for beside, channels in (
        (Beside(second, None), (marks, None)),
        (Beside(None, projector), (None, near)),
        (Beside(second, projector), (marks, near)),
    ):
        head_gradient, body_gradient = gradients(beside, *channels)
        assert torch.equal(head_gradient, own)
        assert not torch.equal(body_gradient, below)


def test_what_stands_beside_gives_what_it_was_made_for() -> None:
    """A logit of its own, a representation of the teacher's width, and otherwise what is served."""
    served = Prediction(torch.randn(6, 2), torch.randn(6, 5))
    second, near = AuxiliaryHead(5, 2), Projector(5, 7)
    both = Beside(second, near)(served)
    assert torch.equal(both.logit, second(served).logit) and both.representation.shape == (6, 7)
    assert Beside(None, None)(served) == served
    assert Beside(None, near)(served).logit is served.logit
    assert Beside(second, None)(served).representation is served.representation


def test_an_order_by_hand() -> None:
    """Two rows of one session; a third of another has nobody to be compared with. The control feels nothing."""
    marks = Prediction(torch.tensor([[logit(0.8), logit(0.2), 0.0]] * 2).double()[..., None], torch.zeros(2, 3, 0))
    rows = batch(torch.ones(2, 3, dtype=torch.bool), torch.ones(2, 3))._replace(
        knowledge={"teacher": Signal(marks, torch.ones(2, 3).bool())}, group=torch.tensor([[7, 7, 9]] * 2)
    )
    plain = Distillation({"teacher": 1.0}, torch.zeros(2), torch.ones(2), "serving")
    said = prediction(0.5, 2, 3)
    costs = [
        Objective(plain, None, one)(said, said, rows).member
        for one in (None, Ranking(torch.tensor([0.6, 0.0]), listwise))
    ]
    assert (costs[1] - costs[0]).tolist() == pytest.approx([0.6 * 2 * math.log(2) / 3, 0.0])


def test_a_schedule_is_on_every_weight_of_the_teacher() -> None:
    """Half of a linear decay is half the weights; the label's own loss, and its share of a blend, make up for it."""
    rows, halves = told(6, 2)._replace(group=torch.zeros(2, 6).long()), torch.tensor([0.5, 0.0])
    said = Prediction(torch.randn(2, 6, 1), torch.randn(2, 6, 4))

    def member(scale: float, schedule: Schedule | None) -> torch.Tensor:
        weight = torch.tensor([0.8, 0.4]) * scale
        objective = Objective(
            Distillation({"teacher": 1.0}, weight, torch.ones(2), "serving"),
            Matching("teacher", weight, hint_mse),
            Ranking(weight, listwise),
            schedule,
        )
        return objective(said, said, rows, Moment(halves)).member

    linear = Schedule(torch.ones(2), torch.zeros(2))
    found = member(1.0, linear)
    assert found[0].item() == pytest.approx(member(0.5, None)[0].item(), rel=1e-5)
    assert found[1].item() == pytest.approx(member(1.0, None)[1].item(), rel=1e-5)
