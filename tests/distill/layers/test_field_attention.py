"""Field-pair attention against its formula, pair by pair, and pruned against masked by hand."""

import math

import pytest
import torch
from torch import Tensor

from distill.layers import FieldPairAttention

ROWS, STEPS, COLUMNS, QUERIES, WIDTH = 4, 5, 2, 3, 16
Example = tuple[Tensor, Tensor, Tensor]


@pytest.fixture
def example() -> Example:
    present = torch.arange(STEPS) < torch.tensor([0, 1, 3, 5])[:, None]
    queries, steps = torch.randn(ROWS, QUERIES, WIDTH), torch.randn(ROWS, STEPS, COLUMNS, WIDTH)
    return queries.double(), steps.double(), present


def layer(inner: str = "none", sparsity: float = 0.5) -> FieldPairAttention:
    made = FieldPairAttention(QUERIES, COLUMNS, inner, sparsity).double()
    torch.nn.init.normal_(made.weight)
    if made.bias is not None:
        made.bias.data.fill_(0.3)
    return made


@pytest.mark.parametrize("inner", ["none", "sigmoid"])
def test_is_its_formula(example, inner):
    queries, steps, present = example
    attention = layer(inner)
    found = attention(*example)
    for row in range(ROWS):
        scores = []
        for step in range(int(present[row].sum())):
            total = sum(
                attention.weight[b, q] * (queries[row, q] @ steps[row, step, b])
                for b in range(COLUMNS)
                for q in range(QUERIES)
            )
            scores.append(total if inner == "none" else (total + WIDTH * attention.bias).sigmoid())
        expected = torch.zeros(COLUMNS, WIDTH).double()
        if scores:
            share = (torch.stack(scores) / WIDTH**0.5).softmax(0)
            expected = sum(weight * steps[row, step] for step, weight in enumerate(share))
        torch.testing.assert_close(found[row], expected)


def test_a_sigmoid_inside_is_nearly_a_mean_and_no_activation_is_not(example):
    """Any two steps stay within exp(1 / sqrt(K)) of each other: 1.28 at a width of 16."""
    loud = (100 * example[0], *example[1:])
    bound = math.exp(WIDTH**-0.5)
    spread = {}
    for inner in ("none", "sigmoid"):
        share = layer(inner).shares(*loud)[-1]
        spread[inner] = (share.max() / share.min()).item()
    assert 1 < spread["sigmoid"] <= bound * (1 + 1e-9)
    assert spread["none"] > 10


class TestPruning:
    @pytest.mark.parametrize(("step", "pruned"), [(0, 0), (99, 0), (100, 0), (250, 1), (500, 2), (10**6, 3)])
    def test_goes_on_every_hundred_steps_towards_the_sparsity(self, step, pruned):
        """Floor of 6 pairs * 0.5 * (1 - 0.8^(step // 100))."""
        attention = layer()
        attention.clock[1] = step
        left = attention.left()
        assert (~left).sum() == pruned
        weights = attention.weight.abs()
        assert pruned == 0 or weights[~left].max() < weights[left].min()

    def test_pruned_is_masked(self, example):
        attention, masked = layer(), layer(sparsity=0.0)
        attention.clock[1] = 10_000
        masked.weight.data = attention.weight.data * attention.left()
        torch.testing.assert_close(attention(*example), masked(*example), rtol=0, atol=0)

    def test_a_pruned_pair_learns_nothing_more(self, example):
        attention = layer()
        attention.clock[1] = 10_000
        attention(*example).square().sum().backward()
        assert torch.equal(attention.weight.grad != 0, attention.left())

    def test_scoring_prunes_what_the_last_step_of_training_did(self, example):
        trained, loaded = layer(), layer()
        trained.clock[1] = 10_000
        loaded.load_state_dict(trained.state_dict())
        assert torch.equal(trained.eval()(*example), loaded.eval()(*example))
