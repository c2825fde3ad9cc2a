"""Several teachers as one: by weights, by how they stood, by a gate; and how much a mark counts where they differ."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from distill.adapter import Adapter
from distill.ensemble import certainty, heard, recent, shares
from distill.heads import Beside, Gate
from distill.objective import Distillation, Moment, Objective
from distill.types import Batch, Features, Prediction, Signal, Taught

NOTHING = Features(torch.zeros(0), torch.zeros(0), torch.zeros(0), {}, {})
MEMBERS, ROWS = 3, 6
NAMES = ("a", "b", "c")


def say(logit: Tensor, covered: Tensor | None = None) -> Signal:
    there = torch.ones(logit.shape[:-1], dtype=torch.bool) if covered is None else covered
    return Signal(Prediction(logit, logit[..., :0]), there)


def drawn(*, members: int = MEMBERS, tasks: int = 1) -> Batch:
    """Random marks of three teachers, some of them missing, and how these stood."""
    label = torch.randint(0, 2, (members, ROWS, tasks)).float()
    said = {name: say(torch.randn(members, ROWS, tasks), torch.rand(members, ROWS) < 0.8) for name in NAMES}
    standing = {name: 0.8 + 0.1 * torch.rand(members, ROWS, tasks) for name in NAMES}
    return Batch(NOTHING, label, torch.ones_like(label).bool(), torch.ones(members, ROWS), said, standing)


weights = st.lists(st.floats(0.0, 5.0), min_size=3, max_size=3).filter(lambda own: sum(own) > 1e-3)


@given(weights)
def test_mean_and_spread_are_those_of_numpy(own: list[float]) -> None:
    """By weight, over the teachers."""
    said = {name: say(torch.randn(2, ROWS, 2).double()) for name in NAMES}
    found = heard(said, dict(zip(NAMES, own, strict=True)))
    logit = np.stack([one.prediction.logit.numpy() for one in said.values()])
    mean = np.average(logit, axis=0, weights=own)
    variance = np.average((logit - mean) ** 2, axis=0, weights=own)
    assert np.allclose(found.logit.numpy(), mean, atol=1e-6)
    assert np.allclose(found.spread.numpy(), np.sqrt(variance), atol=1e-6)


@pytest.mark.parametrize("scored", [False, True])
def test_weights_of_one_and_nothing_are_the_one_teacher_to_the_bit(scored: bool) -> None:
    """Whatever the others say, how well they stood, and which rows they scored."""
    batch = drawn()
    score = 100 * torch.randn(3, MEMBERS, ROWS, 1) if scored else None
    alone = heard(batch.knowledge, {"b": 1.0})
    among = heard(batch.knowledge, {"a": 0.0, "b": 0.7, "c": 0.0}, score)
    there = alone.covered
    assert torch.equal(among.covered, there)
    assert torch.equal(among.logit[there], alone.logit[there])
    assert not among.spread.any()


def test_teachers_that_agree_are_exactly_nothing_apart() -> None:
    same = torch.randn(1, ROWS, 1)
    found = heard({name: say(same) for name in NAMES}, {"a": 0.3, "b": 1.1, "c": 2.7})
    assert not found.spread.any()
    assert torch.allclose(found.logit, same)


@given(st.lists(st.floats(-500, 500), min_size=3, max_size=3), weights)
def test_shares_are_a_softmax_with_weights(score: list[float], own: list[float]) -> None:
    """Against Python's floats; of the teachers without weight nothing, however well they stood."""
    said = (torch.tensor(values, dtype=torch.float64).view(3, 1, 1) for values in (own, score))
    found = shares(*said).flatten()
    top = max(s for s, w in zip(score, own, strict=True) if w)
    factors = [w * math.exp(min(s - top, 0)) if w else 0.0 for s, w in zip(score, own, strict=True)]
    assert found.tolist() == pytest.approx([factor / sum(factors) for factor in factors], abs=1e-9)


def test_who_did_better_shortly_before_counts_for_more() -> None:
    """Worse by one temperature, 1/e of the weight; two teachers alike, half each."""
    standing = {"a": torch.full((1, 2, 1), 0.80), "b": torch.tensor([[[0.81], [0.80]]])}
    share = shares(torch.ones(2, 1, 2, 1), recent(standing, torch.tensor([0.01])))
    assert share[0, 0, :, 0].tolist() == pytest.approx([1 / (1 + math.exp(-1)), 0.5], abs=1e-4)


def distillation(some: slice = slice(None), head: str = "serving") -> Distillation:
    """Members that differ in every number that this channel has; the last one is a control."""
    number = lambda *values: torch.tensor(values)[some]  # noqa: E731
    sources = {"a": number(1.0, 0.0, 1.0), "b": number(1.0, 2.0, 1.0), "c": number(0.0, 0.5, 1.0)}
    weight, temperature = number(0.5, 0.9, 0.0), number(1.0, 2.0, 1.0)
    recently, sure = number(math.inf, 0.05, math.inf), number(0.4, math.inf, math.inf)
    return Distillation(sources, weight, temperature, head, recently, sure)


@pytest.mark.parametrize("tasks", [1, 2])
@pytest.mark.parametrize("head", ["serving", "auxiliary"])
def test_a_member_of_a_fleet_hears_what_it_would_hear_alone(head: str, tasks: int) -> None:
    """To the bit, whatever the weights, the temperature and the certainty of its neighbours."""
    batch, said = drawn(tasks=tasks), Prediction(torch.randn(MEMBERS, ROWS, tasks), torch.zeros(MEMBERS, ROWS, 0))
    together = Objective(distillation(head=head))(said, said, batch).member
    for place in range(MEMBERS):
        own = slice(place, place + 1)
        pick = lambda tree, own=own: torch.utils._pytree.tree_map(lambda one: one[own], tree)  # noqa: E731
        alone = batch._replace(
            label=batch.label[own],
            valid=batch.valid[own],
            weight=batch.weight[own],
            knowledge=pick(batch.knowledge),
            standing=pick(batch.standing),
        )
        mine = pick(said)
        assert torch.equal(Objective(distillation(own, head))(mine, mine, alone).member, together[own])


def test_a_control_costs_what_it_costs_without_teachers() -> None:
    batch, said = drawn(), Prediction(torch.randn(MEMBERS, ROWS, 1), torch.zeros(MEMBERS, ROWS, 0))
    assert torch.equal(Objective(distillation())(said, said, batch).member[2], Objective()(said, said, batch).member[2])


def test_a_mark_on_which_teachers_differ_counts_for_less() -> None:
    """By hand: as far apart as the certainty, half the weight; where they agree all of it."""
    knowledge = {"a": say(torch.tensor([[[1.5], [1.0]]])), "b": say(torch.tensor([[[0.5], [1.0]]]))}
    batch = drawn(members=1)._replace(knowledge=knowledge)
    plan = Distillation({"a": 1.0, "b": 1.0}, torch.tensor([0.8]), torch.ones(1), "serving")
    sure = plan._replace(certainty=torch.tensor([0.5]))
    said = heard(knowledge, plan.sources)
    assert plan.shares(said).flatten().tolist() == pytest.approx([0.8, 0.8])
    assert sure.shares(said).flatten().tolist() == pytest.approx([0.4, 0.8])
    assert batch.knowledge is knowledge


def test_certainty_moves_nothing() -> None:
    spread = torch.rand(4, 1).requires_grad_()
    assert not certainty(spread, 0.3).requires_grad


def test_a_row_without_a_label_is_learnt_from_by_its_marks_alone() -> None:
    """With either head: its share of the mark and nothing else; without a mark, nothing."""
    batch, said = drawn(), Prediction(torch.randn(MEMBERS, ROWS, 1), torch.zeros(MEMBERS, ROWS, 0))
    silent = batch._replace(valid=torch.zeros_like(batch.valid))
    blended, beside = (
        Objective(distillation(head=head))(said, said, silent).member for head in ("serving", "auxiliary")
    )
    assert torch.allclose(blended, beside)
    assert blended[:2].all() and blended[2] == 0


class TestGate:
    def gated(self, batch: Batch, gate: Tensor, hidden: Tensor, plan: Distillation) -> Tensor:
        said = Prediction(hidden.sum(-1, keepdim=True), hidden)
        return Objective(plan)(said, Taught(said.logit, hidden, gate, said.logit[..., :0]), batch)

    def test_it_begins_without_a_preference(self) -> None:
        """All is as without it; and the loss that members report stays theirs."""
        batch, hidden = drawn(), torch.randn(MEMBERS, ROWS, 4)
        said, plan = Prediction(hidden.sum(-1, keepdim=True), hidden), distillation()
        gate = torch.zeros(MEMBERS, ROWS, 3)
        assert not Gate(4, 3)(Prediction(said.logit[0], hidden[0])).any()
        assert torch.equal(self.gated(batch, gate, hidden, plan).member, Objective(plan)(said, said, batch).member)

    def test_it_learns_from_labels_and_moves_nothing_else(self) -> None:
        """The student's gradient is what it would be if the gate were a constant, and a control's gate has none."""
        batch, plan = drawn(), distillation()
        hidden, gate = torch.randn(MEMBERS, ROWS, 4), torch.randn(MEMBERS, ROWS, 3)
        gradients = []
        for fixed in (True, False):
            own = hidden.clone().requires_grad_()
            factors = gate.clone().requires_grad_(not fixed)
            self.gated(batch, factors, own, plan).total.backward()
            gradients.append(own.grad)
        assert torch.equal(*gradients)
        assert factors.grad[:2].any() and not factors.grad[2].any()

    def test_beside_an_adapter_each_learns_as_it_would_alone(self) -> None:
        """To the bit: the gate from what the teachers say, the adapter from that as a constant; students hear it."""
        batch, plan, adapter = drawn(), distillation(), Adapter("platt", 1, 4, 1.0)
        hidden, gate = torch.randn(MEMBERS, ROWS, 4), torch.randn(MEMBERS, ROWS, 3)
        torch.nn.init.normal_(adapter.slope)
        served = Prediction(hidden.sum(-1, keepdim=True), hidden)
        gradients, members = [], []
        for gated, refine in ((True, None), (True, adapter), (False, adapter)):
            adapter.zero_grad()
            own = gate.clone().requires_grad_(gated)
            losses = Objective(plan)(
                served, Taught(served.logit, hidden, own, served.logit[..., :0]), batch, Moment(refine=refine)
            )
            losses.total.backward()
            gradients.append((own.grad, adapter.slope.grad))
            members.append(losses.member)
        assert torch.equal(gradients[0][0], gradients[1][0]) and gradients[1][0][:2].any()
        assert torch.equal(gradients[1][1], gradients[2][1]) and gradients[1][1].any()
        assert torch.equal(members[1], members[2]) and (members[0] != members[1]).tolist() == [True, True, False]

    def test_no_gradient_reaches_the_student_through_the_representation(self) -> None:
        hidden = torch.randn(ROWS, 4).requires_grad_()
        gate = Gate(4, 3)
        torch.nn.init.normal_(gate.linear.weight)
        taught = Beside(None, None, gate)(Prediction(hidden[:, :1].detach(), hidden))
        taught.gate.sum().backward()
        assert hidden.grad is None and gate.linear.weight.grad.any()

    def test_it_finds_out_whom_to_believe_about_which_rows(self) -> None:
        """One teacher knows the rows of one kind, the other those of the other; what both say together gets better."""
        hidden = torch.eye(2).repeat(32, 1)
        label = torch.randint(0, 2, (1, 64, 1)).float()
        truth, noise = 4 * label - 2, torch.randn(1, 64, 1)
        first = hidden[None, :, :1].bool()
        knowledge = {"a": say(torch.where(first, truth, noise)), "b": say(torch.where(first, noise, truth))}
        batch = Batch(NOTHING, label, torch.ones_like(label).bool(), torch.ones(1, 64), knowledge)
        plan = Distillation({"a": 1.0, "b": 1.0}, torch.tensor([0.5]), torch.ones(1), "auxiliary")
        gate = Gate(2, 2)
        adam, served = torch.optim.Adam(gate.parameters(), 0.1), Prediction(torch.zeros(64, 1), hidden)
        for _ in range(60):
            adam.zero_grad()
            self.gated(batch, gate(served)[None], hidden[None], plan).total.backward()
            adam.step()
        share = shares(torch.ones(2, 1, 64, 1), gate(served)[None].movedim(-1, 0)[..., None])
        assert share[0][first].min() > 0.9 and share[1][~first].min() > 0.9
