"""Experts and gates against loops over rows, and who teaches whom."""

import copy

import pytest
import torch
from torch import Tensor, nn

from distill.fleet import Fleet
from distill.layers import MLP, PLE, Gating, MMoE

ROWS, WIDTH = 5, 4


@pytest.fixture
def inputs() -> Tensor:
    return torch.randn(ROWS, WIDTH, dtype=torch.float64)


def shaken(module: nn.Module) -> nn.Module:
    for weight in module.double().parameters():
        nn.init.normal_(weight, std=0.5)
    return module


def mixed(gate: Gating, experts: list[MLP], looked: Tensor, inputs: list[Tensor]) -> Tensor:
    """What a gate makes of experts, row by row and expert by expert."""
    rows = []
    for row in range(ROWS):
        score = torch.stack([gate.linear.weight[e] @ looked[row] + gate.linear.bias[e] for e in range(len(experts))])
        share = score.exp() / score.exp().sum()
        said = [expert(own[row : row + 1])[0] for expert, own in zip(experts, inputs, strict=True)]
        rows.append(sum(weight * vector for weight, vector in zip(share, said, strict=True)))
    return torch.stack(rows)


def test_mmoe_is_a_mixture_for_each_task(inputs):
    wide = torch.randn(ROWS, 7).double()
    mixture = shaken(MMoE([WIDTH, WIDTH, 7], (6, 3), [WIDTH, 7]))
    given, gates = [inputs, inputs, wide], [inputs, wide]
    for gate, looked, found in zip(mixture.gates, gates, mixture(given, gates), strict=True):
        torch.testing.assert_close(found, mixed(gate, list(mixture.experts), looked, given))


class TestStem:
    """Two tasks with an expert each, and a shared one."""

    @pytest.fixture
    def mixture(self) -> MMoE:
        return shaken(MMoE([WIDTH] * 3, (6, 3), [WIDTH] * 2, owners=[0, 1, None]))

    def test_says_what_it_would_without_owners(self, mixture, inputs):
        plain = MMoE([WIDTH] * 3, (6, 3), [WIDTH] * 2).double()
        plain.load_state_dict(mixture.state_dict())
        for one, other in zip(mixture([inputs] * 3, [inputs] * 2), plain([inputs] * 3, [inputs] * 2), strict=True):
            assert torch.equal(one, other)

    @pytest.mark.parametrize("task", [0, 1])
    def test_a_task_trains_its_own_and_the_shared_expert(self, mixture, inputs, task):
        tables = [inputs.clone().requires_grad_() for _ in range(3)]
        mixture(tables, [inputs] * 2)[task].square().sum().backward()
        taught = [
            any(weight.grad is not None and weight.grad.any() for weight in one.parameters()) for one in mixture.experts
        ]
        assert taught == [task == 0, task == 1, True]
        assert [bool(table.grad.any()) for table in tables] == taught


class TestPLE:
    def test_a_layer_listens_to_its_own_and_the_shared_experts(self, inputs):
        mixture = shaken(PLE(WIDTH, (3,), tasks=2, experts=2))
        (layer,) = mixture.layers
        for task, found in enumerate(mixture(inputs)):
            experts = [*layer.groups[task], *layer.groups[-1]]
            torch.testing.assert_close(found, mixed(layer.gates[task], experts, inputs, [inputs] * 4))

    def test_the_shared_gate_of_an_earlier_layer_listens_to_everyone(self, inputs):
        mixture, heard = shaken(PLE(WIDTH, (3, 2), tasks=2, experts=2)), []
        mixture.layers[1].register_forward_pre_hook(lambda module, inputs: heard.extend(inputs[0]))
        mixture(inputs)
        first = mixture.layers[0]
        experts = [one for group in first.groups for one in group]
        torch.testing.assert_close(heard[-1], mixed(first.common, experts, inputs, [inputs] * 6))

    def test_a_task_never_trains_the_experts_of_another(self, inputs):
        mixture = shaken(PLE(WIDTH, (3,), tasks=2, experts=1))
        mixture(inputs)[0].square().sum().backward()
        (layer,) = mixture.layers
        reached = [any(w.grad is not None and w.grad.any() for w in group.parameters()) for group in layer.groups]
        assert reached == [True, False, True]


class Ordinary(nn.Module):
    """Mixtures as a ranker would hold them: one tensor in, one out."""

    def __init__(self, mixture: nn.Module) -> None:
        super().__init__()
        self.mixture = mixture

    def forward(self, inputs: Tensor) -> Tensor:
        given = ([inputs] * 3, [inputs] * 2) if isinstance(self.mixture, MMoE) else (inputs,)
        return torch.cat(self.mixture(*given), -1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: MMoE([WIDTH] * 3, (6, 3), [WIDTH] * 2),
        lambda: MMoE([WIDTH] * 3, (6, 3), [WIDTH] * 2, owners=[0, 1, None]),
        lambda: PLE(WIDTH, (3, 2), tasks=2, experts=2),
    ],
)
def test_runs_on_a_stack_as_it_is(make):
    members = [shaken(Ordinary(make())) for _ in range(3)]
    inputs = torch.randn(3, ROWS, WIDTH).double()
    alone = torch.stack([one(given) for one, given in zip(copy.deepcopy(members), inputs, strict=True)])
    fleet = Fleet(members).double()
    assert fleet.direct(inputs)
    torch.testing.assert_close(fleet(inputs), alone)
