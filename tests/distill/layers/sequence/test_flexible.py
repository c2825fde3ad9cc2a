"""FlexAttention against the same attention by matrix products."""

import pytest
import torch
from pydantic import ValidationError

from distill.layers.sequence import SequenceSettings, SequenceTower

STEPS = 6


def towers(bias: str, dtype: torch.dtype, width: int = 8) -> list[SequenceTower]:
    """One that multiplies and one that does not, with the same weights."""
    settings = {"attention": "softmax", "bias": bias, "gate": False, "width": width, "heads": 2}
    torch.manual_seed(0)
    plain, flex = (SequenceTower(SequenceSettings(**settings, kernel=one), STEPS) for one in ("products", "flex"))
    flex.load_state_dict(plain.state_dict())
    return [tower.to(dtype).eval() for tower in (plain, flex)]


@pytest.mark.parametrize("bias", ["none", "position", "position_time", "rotary"])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_it_says_what_products_say(
    bias: str, dtype: torch.dtype, close: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With empty histories, and for all tokens as well as for the candidate alone."""
    plain, flex = towers(bias, dtype)
    present = torch.arange(STEPS) < torch.tensor([0, 1, 3, STEPS, 2])[:, None]
    steps, candidate = torch.randn(5, STEPS, 8, dtype=dtype), torch.randn(5, 8, dtype=dtype)
    gaps = torch.randint(0, 20, (5, STEPS)).sort(-1).values
    with torch.no_grad():
        wanted = plain(present, steps, gaps, candidate)
        torch.testing.assert_close(flex(present, steps, gaps, candidate), wanted, rtol=0, atol=close)
        monkeypatch.setattr("distill.layers.sequence.block.flexed", lambda query, key, value, bias: 0 * query)
        assert not torch.allclose(flex(present, steps, gaps, candidate), wanted)  # it was asked


def test_where_it_has_no_gradient_products_serve() -> None:
    plain, flex = towers("position", torch.float64)
    present, steps = torch.ones(2, STEPS, dtype=torch.bool), torch.randn(2, STEPS, 8, dtype=torch.float64)
    candidate = torch.randn(2, 8, dtype=torch.float64)
    for tower in (plain, flex):
        tower(present, steps, None, candidate).sum().backward()
    for one, other in zip(plain.parameters(), flex.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="FlexAttention has gradients on CUDA alone")
@pytest.mark.parametrize("width", [8, 32])
def test_its_gradients_are_those_of_products(width: int) -> None:
    """In heads of 16, and in narrower ones, for which there is no kernel and products serve."""
    plain, flex = (tower.cuda() for tower in towers("position", torch.float32, width))
    present = torch.arange(STEPS, device="cuda") < torch.tensor([0, 3, STEPS], device="cuda")[:, None]
    steps, candidate = torch.randn(3, STEPS, width, device="cuda"), torch.randn(3, width, device="cuda")
    for tower in (plain, flex):
        tower(present, steps, None, candidate).square().sum().backward()
    for one, other in zip(plain.parameters(), flex.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-4)


def test_pointwise_attention_is_no_softmax() -> None:
    with pytest.raises(ValidationError, match="needs `attention: softmax`"):
        SequenceSettings(kernel="flex")


def test_the_default_leaves_no_trace_in_what_is_hashed() -> None:
    assert "kernel" not in SequenceSettings().model_dump()
