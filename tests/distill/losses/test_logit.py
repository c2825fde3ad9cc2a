"""Losses of single log-odds, by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distill.losses import binary_cross_entropy, logit_distillation, logit_mse, scaled_gradient, scaled_label

LOGITS = st.floats(-30, 30)


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def test_cross_entropy_by_hand() -> None:
    """-log 0.8 for a click, -log 0.2 for none; no digits lost far out."""
    z = torch.tensor([logit(0.8), logit(0.8), -800.0], dtype=torch.double)
    loss = binary_cross_entropy(z, torch.tensor([1.0, 0.0, 1.0], dtype=torch.double))
    assert loss.tolist() == pytest.approx([-math.log(0.8), -math.log(0.2), 800.0])


@given(LOGITS, LOGITS, st.floats(0.5, 5))
def test_gradient_of_distillation(student: float, teacher: float, temperature: float) -> None:
    """d/dz T^2 BCE(z/T, t/T) = T (sigmoid(z/T) - sigmoid(t/T)); none reaches the teacher."""
    z = torch.tensor(student, dtype=torch.double, requires_grad=True)
    t = torch.tensor(teacher, dtype=torch.double, requires_grad=True)
    logit_distillation(z, t, temperature).backward()
    expected = temperature * ((z / temperature).sigmoid() - (t / temperature).sigmoid())
    assert z.grad.item() == pytest.approx(expected.item(), abs=1e-9)
    assert t.grad is None


def test_a_high_temperature_matches_log_odds() -> None:
    """T -> infinity: (z - t)^2 / 8, plus what does not depend on z."""
    z, t = torch.tensor([0.3, 2.0], dtype=torch.double), torch.tensor([-1.0, -1.0], dtype=torch.double)
    loss = logit_distillation(z, t, 1e4)
    assert (loss[1] - loss[0]).item() == pytest.approx(((3.0**2 - 1.3**2) / 8), rel=1e-4)


def test_a_softmax_over_one_logit_teaches_nothing() -> None:
    """Why the recipe refuses it: its gradient is exactly zero."""
    z = torch.tensor([[1.3]], requires_grad=True)
    torch.nn.functional.kl_div(z.log_softmax(-1), torch.tensor([[0.2]]).softmax(-1)).backward()
    assert z.grad.item() == 0.0


def test_squared_log_odds_do_not_know_the_base_rate() -> None:
    """(z - t)^2 by hand; the gradient is 2 (z - t) however rare clicks are, and a joint shift changes nothing."""
    z = torch.tensor([0.5, -6.5], dtype=torch.double, requires_grad=True)
    t = torch.tensor([1.0, -6.0], dtype=torch.double)
    loss = logit_mse(z, t)
    loss.sum().backward()
    assert loss.tolist() == [0.25, 0.25]
    assert z.grad.tolist() == [-1.0, -1.0]
    assert logit_mse(z + 3, t + 3).tolist() == pytest.approx(loss.tolist())


def test_a_scaled_label_by_hand() -> None:
    """min(1, 5 p): a fifth and more all become 1; the teacher feels nothing."""
    t = torch.tensor([logit(0.02), logit(0.1), logit(0.2), logit(0.9)], dtype=torch.double, requires_grad=True)
    label = scaled_label(t, 5.0)
    assert label.tolist() == pytest.approx([0.1, 0.5, 1.0, 1.0])
    assert not label.requires_grad
    assert scaled_label(t, 1.0).tolist() == t.sigmoid().tolist()


def test_a_scaled_label_is_learned_where_it_is_met() -> None:
    """The gradient of the auxiliary logit is p - min(1, 5 p_T): none at five times the teacher's probability."""
    z = torch.tensor([logit(0.5)], dtype=torch.double, requires_grad=True)
    binary_cross_entropy(z, scaled_label(torch.tensor([logit(0.1)], dtype=torch.double), 5.0)).backward()
    assert z.grad.item() == pytest.approx(0.0, abs=1e-12)


def backbone_and_head(weight: float, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of a backbone and of its auxiliary head, under this weight of the loss and scale of the gradient."""
    generator = torch.Generator().manual_seed(0)
    inputs, backbone, head = (torch.randn(*shape, generator=generator).double() for shape in ((5, 3), (3, 4), (4, 1)))
    backbone.requires_grad_()
    head.requires_grad_()
    z = scaled_gradient((inputs @ backbone).tanh(), scale) @ head
    (weight * logit_mse(z, torch.ones_like(z))).mean().backward()
    return backbone.grad, head.grad


def test_only_the_product_of_weight_and_scale_counts_for_the_backbone() -> None:
    plain, head = backbone_and_head(6.0, 1.0)
    for weight, scale in ((2.0, 3.0), (1.0, 6.0), (12.0, 0.5)):
        moved, own = backbone_and_head(weight, scale)
        torch.testing.assert_close(moved, plain)
        torch.testing.assert_close(own, head * weight / 6)
    assert backbone_and_head(6.0, 0.0)[0].abs().max() == 0


def test_a_scaled_gradient_changes_no_bit_of_the_values() -> None:
    values = torch.randn(1000, requires_grad=True)
    assert scaled_gradient(values, 20.0).equal(values)
    scales = torch.tensor([[2.0], [0.5]])  # one for each member
    stacked = torch.randn(2, 3, requires_grad=True)
    scaled_gradient(stacked, scales).sum().backward()
    assert stacked.grad.equal(scales.expand(2, 3))
