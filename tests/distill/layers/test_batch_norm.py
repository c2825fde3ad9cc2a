"""Batch norm: torch's own for one ranker, and for each member of a stack what it would be alone."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from distill.errors import RecipeError
from distill.fleet import Fleet
from distill.layers import BatchNormReLU
from distill.recipe import load

QUICKSTART = Path(__file__).resolve().parents[3] / "recipes" / "quickstart.yaml"

WIDTH, ROWS = 4, (9, 5, 1)
"""Rows of each member of a stack; the others fill it up."""


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 3 + 1


def layer(seed: int = 0) -> BatchNormReLU:
    """With a scale and a shift that are not those of a fresh one."""
    made = BatchNormReLU(WIDTH).double()
    made.weight.data, made.bias.data = drawn(2, WIDTH, seed=100 + seed).unbind()
    return made


def stack(batched: bool = True) -> Fleet:
    return Fleet([layer(member) for member in range(len(ROWS))], batched=batched).train()


def weights(rows: int) -> Tensor:
    return torch.stack([torch.arange(rows) < own for own in ROWS]).double()


def test_alone_it_is_torchs() -> None:
    ours, theirs = layer(), nn.BatchNorm1d(WIDTH).double()
    theirs.weight.data, theirs.bias.data = ours.weight.data.clone(), ours.bias.data.clone()
    for step in range(5):
        rows = drawn(7, WIDTH, seed=step)
        assert torch.allclose(ours(rows), theirs(rows).relu(), atol=1e-12)
    assert torch.allclose(ours.mean, theirs.running_mean) and torch.allclose(ours.variance, theirs.running_var)
    some = drawn(3, WIDTH, seed=9)
    assert torch.allclose(ours.eval()(some), theirs.eval()(some).relu(), atol=1e-12)


@pytest.mark.parametrize("batched", [True, False])
def test_in_a_stack_each_member_looks_at_its_own_rows_alone(batched: bool) -> None:
    """Filling changes neither what it says, nor what it takes down, nor a gradient; even where it has one row."""
    fleet, alone = stack(batched), [layer(member) for member in range(len(ROWS))]
    for step in range(3):
        inputs = drawn(len(ROWS), max(ROWS), WIDTH, seed=step).requires_grad_()
        fleet.set_rows(weights(max(ROWS)))
        together = fleet(inputs)
        (together.square() * weights(max(ROWS))[..., None]).sum().backward()
        for member, (one, rows) in enumerate(zip(alone, ROWS, strict=True)):
            own = inputs[member, :rows].detach().requires_grad_()
            said = one(own)
            said.square().sum().backward()
            assert torch.allclose(together[member, :rows], said, atol=1e-12)
            assert torch.allclose(inputs.grad[member, :rows], own.grad, atol=1e-12)
    for member, one in enumerate(alone):
        state = fleet.state(member)
        assert all(torch.allclose(state[name], value, atol=1e-12) for name, value in one.state_dict().items())


def test_in_evaluation_a_row_depends_on_itself_alone() -> None:
    fleet, rows = stack(), drawn(len(ROWS), 6, WIDTH)
    fleet.set_rows(weights(6))
    fleet(rows)
    fleet.eval()
    assert torch.allclose(fleet(rows)[:, 2:3], fleet(rows[:, 2:3]), atol=1e-14)


def test_who_tries_it_out_leaves_no_trace() -> None:
    """A fleet tries out, without gradients, whether it can be called as it is."""
    fleet, rows = stack(), drawn(len(ROWS), 6, WIDTH)
    before = {name: value.clone() for name, value in fleet.state(0).items()}
    assert fleet.direct(rows)
    assert all(torch.equal(value, before[name]) for name, value in fleet.state(0).items())


def test_who_scores_while_learning_may_not_have_it() -> None:
    with pytest.raises(RecipeError, match=r"teacher\.model\.batch_norm: is for students"):
        load(QUICKSTART, ["teacher.model={class: students.DNN, batch_norm: true}"])
    assert load(QUICKSTART, ["students.model.batch_norm=true"]).students.model.config.batch_norm
