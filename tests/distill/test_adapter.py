"""The student's adapter: it starts as the identity, mends what is wrong with a teacher, and moves nothing else."""

import math
from collections.abc import Iterator
from itertools import repeat

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.utils._pytree import tree_map

from distill.adapter import Adapter, Form, fit
from distill.fleet import Fleet, seeded
from distill.heads import AuxiliaryHead
from distill.learner import Learner, Pace, train
from distill.objective import Distillation, Moment, Objective
from distill.optimizer import Rates
from distill.types import Batch, Features, Prediction, Signal, Taught

FORMS: list[Form] = ["platt", "mlp"]
WIDTH = 5


def world(rows: int, shift: float, temperature: float, seed: int = 0) -> Batch:
    """One member's rows: labels of a linear truth, and a teacher who knows it, wrongly scaled and shifted."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(1, rows, WIDTH, generator=generator)
    truth = features.sum(-1, keepdim=True) - 1
    label = (torch.rand(1, rows, 1, generator=generator) < truth.sigmoid()).float()
    said = Signal(Prediction(truth / temperature + shift, torch.zeros(1, rows, 0)), torch.ones(1, rows).bool())
    seen = Features(torch.zeros(1, rows).long(), torch.zeros(1, rows, 0).long(), features, {}, {})
    return Batch(seen, label, torch.ones(1, rows, 1).bool(), torch.ones(1, rows), {"teacher": said})


class Same:
    """One batch, again and again."""

    def __init__(self, batch: Batch, steps: int) -> None:
        self.batch, self.steps = batch, steps

    def __iter__(self) -> Iterator[Batch]:
        return repeat(self.batch, self.steps)

    def __len__(self) -> int:
        return self.steps


class Line(nn.Module):
    """A student that can say all there is to say, and its features are its representation."""

    def __init__(self) -> None:
        super().__init__()
        self.head = AuxiliaryHead(WIDTH, 1).linear

    def forward(self, features: Features) -> Prediction:
        return Prediction(self.head(features.numeric), features.numeric)


def learner(form: Form | None, seeds: tuple[int, ...], steps: int, weight: float = 1.0, rate: float = 3.0) -> Learner:
    count = len(seeds)
    every = torch.full((count,), weight)
    settings = {"learning_rate": 0.03, "weight_decay": 0.0, "beta1": 0.9, "beta2": 0.999, "l2": 0.0}
    pace = Pace(Rates.of([settings] * count), torch.full((count,), steps), seeds, "linear")
    adapters = (lambda: Fleet(seeded(lambda _: Adapter(form, 1, WIDTH, rate), seeds))) if form else None
    objective = Objective(Distillation({"teacher": 1.0}, every, torch.ones(count), "serving"))
    return Learner(lambda: Fleet(seeded(lambda _: Line(), seeds)), objective, pace, None, adapters)


@pytest.mark.parametrize("form", FORMS)
def test_at_first_it_says_what_the_teacher_says(form: Form) -> None:
    """To the bit; alone and in a stack."""
    logit, representation = torch.randn(3, 7, 2), torch.randn(3, 7, WIDTH)
    fleet = Fleet(seeded(lambda _: Adapter(form, 2, WIDTH, 10.0), (1, 2, 3)))
    assert torch.equal(fleet(logit, representation), logit)
    assert torch.equal(Adapter(form, 2, WIDTH, 10.0)(logit[0], representation[0]), logit[0])


@pytest.mark.parametrize("form", FORMS)
def test_neither_moves_the_other(form: Form) -> None:
    """Where only the teacher is heard: the student's loss has no gradient in the adapter, and the labels, which move
    it, have none in the student. Each gradient is what it is without the other, to the bit."""
    batch, student = world(32, 1.0, 2.0), Fleet(seeded(lambda _: Line(), (1,)))
    adapter = Fleet(seeded(lambda _: Adapter(form, 1, WIDTH, 1.0), (2,)))
    with torch.no_grad():
        for one in adapter.parameters():
            one.add_(torch.randn_like(one))
    objective = Objective(Distillation({"teacher": 1.0}, torch.ones(1), torch.ones(1), "serving"))
    served = student(batch.features)
    losses = objective(served, served, batch, Moment(refine=adapter))
    ours = torch.autograd.grad(losses.total, [*student.parameters(), *adapter.parameters()], retain_graph=True)
    refined = adapter(batch.knowledge["teacher"].prediction.logit, served.representation)
    marks = Signal(Prediction(refined.detach(), torch.zeros(1, 32, 0)), torch.ones(1, 32).bool())
    told = objective(served, served, batch._replace(knowledge={"teacher": marks}))
    own = fit(refined, batch.label, batch.valid).mean()
    theirs = [*torch.autograd.grad(told.total, student.parameters()), *torch.autograd.grad(own, adapter.parameters())]
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    of_member = torch.autograd.grad(losses.member.sum(), adapter.parameters(), allow_unused=True)
    assert of_member == (None,) * len(of_member)


def test_a_second_head_learns_what_it_says_and_the_first_what_the_teacher_says() -> None:
    """Each row costs BCE(served, label) + w BCE(first, teacher) + w' BCE(second, adapter), where it has a mark; of a
    control, whose factors are 0, the label alone. Neither mark reaches the served logit, nor anything the adapter."""
    batch = world(24, 1.0, 2.0)
    two = Batch(*tree_map(lambda one: torch.cat([one, one]), tuple(batch)[:4]), {})
    said, seen = batch.knowledge["teacher"], torch.rand(2, 24) < 0.7
    logit = torch.cat([said.prediction.logit] * 2)
    two = two._replace(knowledge={"teacher": Signal(Prediction(logit, torch.zeros(2, 24, 0)), seen)})
    served, first, second = (torch.randn(2, 24, 1, requires_grad=True) for _ in range(3))
    hidden = torch.randn(2, 24, WIDTH)
    adapter = Fleet(seeded(lambda _: Adapter("platt", 1, WIDTH, 1.0), (1, 2)))
    with torch.no_grad():
        for one in adapter.parameters():
            one.add_(torch.randn_like(one))
    plan = Distillation(
        {"teacher": 1.0}, torch.tensor([0.7, 0]), torch.ones(2), "auxiliary", second=torch.tensor([3.0, 0])
    )
    taught = Taught(first, hidden, served[..., :0].detach(), second)
    costs = Objective(plan).costs(Prediction(served, hidden), taught, two, Moment(refine=adapter))
    refined = adapter(logit, hidden).detach()
    mark = lambda student, teacher: cross_entropy(student, teacher.sigmoid(), reduction="none")[..., 0] * seen  # noqa: E731
    meant = (0.7 * mark(first, logit) + 3.0 * mark(second, refined)) * torch.tensor([1.0, 0.0])[:, None]
    torch.testing.assert_close(costs.distilled, meant)
    assert costs.kept == 1.0
    ours = torch.autograd.grad(
        costs.distilled.sum(), [served, *adapter.parameters()], retain_graph=True, allow_unused=True
    )
    assert ours == (None,) * len(ours)
    of_labels = torch.autograd.grad(costs.label.sum(), [first, second], allow_unused=True)
    assert of_labels == (None, None)


def test_rows_without_a_mark_or_a_label_do_not_count() -> None:
    refined = torch.randn(2, 6, 1, requires_grad=True)
    counts = torch.rand(2, 6, 1) < 0.5
    fit(refined, torch.ones(2, 6, 1), counts).sum().backward()
    assert torch.equal(refined.grad != 0, counts)


@pytest.mark.parametrize("form", ["platt", pytest.param("mlp", marks=pytest.mark.slow)])
def test_it_mends_a_shift_and_a_temperature(form: Form) -> None:
    """A stale teacher, three times too sure of itself and 1.5 too high: what is learnt from it is right again, and
    without the adapter is not. The truth is z / 3 - .5 of what it says, and those are the two numbers found."""
    batch, test = world(2000, 1.5, 1 / 3), world(2000, 1.5, 1 / 3, seed=1)
    truth = (test.knowledge["teacher"].prediction.logit - 1.5) / 3
    error = {}
    for kind in (None, form):
        one = learner(kind, (1,), 150)
        train(one, Same(batch, 150), [], "cpu")
        error[kind] = (one.fleet(test.features).logit.sigmoid() - truth.sigmoid()).abs().mean().item()
    assert error[form] < 0.03 and error[None] > 2.5 * error[form]
    adapter = one.adapters.member(0)
    if form == "platt":
        assert [1 + 3.0 * adapter.slope.item(), 3.0 * adapter.shift.item()] == pytest.approx([1 / 3, -0.5], abs=0.1)


@pytest.mark.parametrize("form", FORMS)
def test_a_stack_gives_each_member_what_it_gets_alone(form: Form) -> None:
    """Whatever the others are taught by; a control's adapter changes nothing in it."""
    batches = [world(64, shift, 1.0, seed) for seed, shift in ((0, 0.0), (1, 2.0), (2, -1.0))]
    joined = Batch(
        Features(
            *(torch.cat([getattr(one.features, name) for one in batches]) for name in Features._fields[:3]), {}, {}
        ),
        *(torch.cat([getattr(one, name) for one in batches]) for name in ("label", "valid", "weight")),
        {
            "teacher": Signal(
                Prediction(
                    torch.cat([one.knowledge["teacher"].prediction.logit for one in batches]), torch.zeros(3, 64, 0)
                ),
                torch.ones(3, 64).bool(),
            )
        },
    )
    together = learner(form, (1, 2, 3), 8)
    train(together, Same(joined, 8), [], "cpu")
    for place, batch in enumerate(batches):
        alone = learner(form, (place + 1,), 8)
        train(alone, Same(batch, 8), [], "cpu")
        for ours, theirs in ((together.fleet, alone.fleet), (together.adapters, alone.adapters)):
            for name, tensor in theirs.state(0).items():
                torch.testing.assert_close(ours.state(place)[name], tensor, rtol=1e-4, atol=1e-6)
    control, plain = learner(form, (1,), 20, weight=0.0), learner(None, (1,), 20, weight=0.0)
    for one in (control, plain):
        train(one, Same(batches[0], 8), [], "cpu")
    assert all(torch.equal(control.fleet.state(0)[name], tensor) for name, tensor in plain.fleet.state(0).items())
    assert math.isfinite(control.costs.item())
