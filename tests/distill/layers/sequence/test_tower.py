"""SequenceTower: in buckets, padded, mapped and token by token it is one function; and who may read whom."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.func import functional_call, vmap

from distill.layers.sequence import SequenceSettings, SequenceTower
from tests.distill.layers.sequence.one_by_one import read_one

STEPS, WIDTH = 7, 8
LENGTHS = (3, 0, 7, 1, 5, 0, 7, 2)

SWITCHES: dict[str, dict[str, Any]] = {
    "HSTU": {"bias": "position_time"},
    "HSTU by distance": {"bias": "position"},
    "HSTU without bias": {"bias": "none"},
    "HSTU rotated": {"bias": "rotary"},
    "HSTU with softmax": {"bias": "position_time", "attention": "softmax"},
    "HSTU without gate": {"bias": "position", "gate": False},
    "Llama": {"attention": "softmax", "bias": "rotary", "gate": False, "ffn": "swiglu", "norm": "rms"},
    "GPT": {"attention": "softmax", "bias": "none", "gate": False, "ffn": "gelu", "places": True},
    "SASRec": {
        "attention": "softmax",
        "bias": "none",
        "gate": False,
        "ffn": "relu",
        "places": True,
        "residual": "post",
    },
    "SASRec made to scale": {"attention": "softmax", "bias": "position_time", "gate": False, "ffn": "relu"},
    "post and gated": {"bias": "position_time", "residual": "post", "ffn": "swiglu", "norm": "rms"},
    "pyramid": {"bias": "position_time", "levels": 3, "keep": 2, "ratio": 2, "layers": 1},
    "pyramid of Llama": {"attention": "softmax", "bias": "rotary", "ffn": "swiglu", "levels": 2, "keep": 1, "ratio": 3},
}


def tower_of(**switches: Any) -> SequenceTower:
    tower = SequenceTower(SequenceSettings(**{"width": WIDTH, "heads": 2, "layers": 2, **switches}), STEPS).double()
    with torch.no_grad():
        for weight in tower.parameters():
            weight.add_(0.3 * torch.randn_like(weight))  # Fresh biases are so small that they would hide a mistake.
    return tower


Rows = tuple[Tensor, Tensor, Tensor, Tensor]


def rows_of(lengths: tuple[int, ...] = LENGTHS, seed: int = 0) -> Rows:
    """Histories of given lengths; what is absent is noise, so that whoever reads it is found out."""
    generator = torch.Generator().manual_seed(seed)
    present = torch.arange(STEPS) < torch.tensor(lengths)[:, None]
    steps = torch.randn(len(lengths), STEPS, WIDTH, generator=generator, dtype=torch.float64)
    gaps = torch.randint(1, 30, (len(lengths), STEPS), generator=generator).sort(1).values
    return present, steps, gaps, torch.randn(len(lengths), WIDTH, generator=generator, dtype=torch.float64)


def expected(tower: SequenceTower, rows: Rows) -> Tensor:
    """Row by row and token by token."""
    found = []
    for present, steps, gaps, candidate in zip(*rows, strict=True):
        count = int(present.sum())
        ago = [1.5 * 2.0 ** (gap - 1) - 1 for gap in gaps[:count].tolist()]
        found.append(read_one(tower, steps[:count], ago, candidate))
    return torch.stack(found)


def gradients(tower: SequenceTower, said: Tensor, inputs: tuple[Tensor, ...]) -> list[Tensor | None]:
    weights = torch.linspace(-1, 1, said.numel(), dtype=said.dtype).view_as(said)
    return list(torch.autograd.grad((said * weights).sum(), [*tower.parameters(), *inputs], allow_unused=True))


def assert_alike(found: list[Tensor | None], wanted: list[Tensor | None]) -> None:
    for one, other in zip(found, wanted, strict=True):
        zero = torch.zeros(())
        torch.testing.assert_close(zero if one is None else one, zero if other is None else other, rtol=0, atol=1e-10)


@pytest.mark.parametrize("switches", SWITCHES.values(), ids=SWITCHES)
class TestOneFunction:
    def test_is_what_the_papers_write_token_by_token(self, switches):
        """Values and gradients, in buckets against the loop; empty histories among them."""
        tower, (present, steps, gaps, candidate) = tower_of(**switches), rows_of()
        inputs = (steps.requires_grad_(), candidate.requires_grad_())
        said, wanted = tower(present, steps, gaps, candidate), expected(tower, (present, steps, gaps, candidate))
        assert (said - wanted).abs().max() < 1e-10
        found = gradients(tower, said, inputs)
        assert_alike(
            found, [_filled(one, like) for one, like in zip(gradients(tower, wanted, inputs), found, strict=True)]
        )

    def test_padding_changes_nothing(self, switches):
        tower, rows = tower_of(**switches), rows_of()
        inputs = (rows[1].requires_grad_(), rows[3].requires_grad_())
        said, padded = tower(*rows), tower.padded(*rows)
        assert (said - padded).abs().max() < 1e-10
        assert_alike(gradients(tower, said, inputs), gradients(tower, padded, inputs))

    def test_maps_over_members(self, switches):
        towers = [tower_of(**switches) for _ in range(3)]
        rows = [rows_of(seed=seed) for seed in range(3)]
        weights = {name: torch.stack([tower.state_dict()[name] for tower in towers]) for name in towers[0].state_dict()}
        call = vmap(lambda state, *inputs: functional_call(towers[0], state, inputs))
        together = call(weights, *map(torch.stack, zip(*rows, strict=True)))
        alone = torch.stack([tower(*inputs) for tower, inputs in zip(towers, rows, strict=True)])
        assert (together - alone).abs().max() < 1e-10

    def test_no_row_influences_another(self, switches):
        tower, rows = tower_of(**switches), rows_of()
        said = tower(*rows)
        one_by_one = torch.cat([tower(*(tensor[row : row + 1] for tensor in rows)) for row in range(len(LENGTHS))])
        assert (said - one_by_one).abs().max() < 1e-12
        steps = rows[1].clone().requires_grad_()
        (slope,) = torch.autograd.grad(tower(rows[0], steps, *rows[2:])[2].sum(), steps)
        assert not slope[[0, 1, 3, 4, 5, 6, 7]].any()

    def test_what_is_absent_is_not_read(self, switches):
        tower, (present, steps, gaps, candidate) = tower_of(**switches), rows_of()
        other = torch.where(present[..., None], steps, 1e6)
        later = torch.where(present, gaps, 1)
        for call in (tower, tower.padded):
            assert (call(present, steps, gaps, candidate) - call(present, other, later, candidate)).abs().max() < 1e-12


def _filled(gradient: Tensor | None, like: Tensor | None) -> Tensor | None:
    return torch.zeros_like(like) if gradient is None and like is not None else gradient


class TestWhoReadsWhom:
    @staticmethod
    def states(tower: SequenceTower, rows: Rows) -> Tensor:
        """What every token, newest first, has become after the first block."""
        heard = []
        handle = tower.levels[0][0].register_forward_hook(lambda module, inputs, output: heard.append(output))
        tower.padded(*rows)
        handle.remove()
        return heard[0]

    @pytest.mark.parametrize("attention", ["silu", "softmax"])
    @pytest.mark.parametrize("changed", range(STEPS))
    def test_an_event_is_felt_by_itself_and_by_newer_ones_alone(self, attention, changed):
        tower, rows = tower_of(attention=attention, bias="position"), rows_of((STEPS,))
        steps = rows[1].clone()
        steps[:, changed] += torch.randn(WIDTH)  # A norm would not feel the same added to every number.
        moved = (self.states(tower, rows) != self.states(tower, (rows[0], steps, *rows[2:])))[0].any(-1)
        assert moved.tolist() == [True] * (changed + 2) + [False] * (STEPS - 1 - changed)

    def test_the_candidate_is_felt_by_no_event(self):
        tower, rows = tower_of(bias="position"), rows_of((STEPS,))
        moved = self.states(tower, rows) != self.states(tower, (*rows[:3], rows[3] * torch.rand(WIDTH)))
        assert moved[0].any(-1).tolist() == [True] + [False] * STEPS

    def test_how_far_a_batch_is_padded_changes_nothing(self):
        """A score is divided by the most steps there can be, not by those of the batch."""
        tower, (present, steps, gaps, candidate) = tower_of(bias="position"), rows_of((2,))
        short = tower.padded(present[:, :2], steps[:, :2], gaps[:, :2], candidate)
        assert (short - tower.padded(present, steps, gaps, candidate)).abs().max() < 1e-12


class TestHSTU:
    def test_is_its_three_equations_in_ten_lines(self):
        """One block, one head, a history of two; all tokens at once, oldest first."""
        tower = tower_of(bias="position", heads=1, layers=1)
        block, (_, steps, _, candidate) = tower.levels[0][0], rows_of((2,))
        x = torch.cat([steps[0, :2].flip(0), candidate])
        known = block.norm(x)
        q, u = torch.nn.functional.silu(known @ block.asks.weight.T).split(WIDTH, 1)
        k, v = torch.nn.functional.silu(known @ block.holds.weight.T).split(WIDTH, 1)
        w = block.bias.position[:, 0]
        rab = torch.stack(
            [torch.stack([w[0], w[1], w[2]]), torch.stack([w[1], w[0], w[1]]), torch.stack([w[2], w[1], w[0]])]
        )
        a = (torch.nn.functional.silu(q @ k.T + rab) / (STEPS + 1)).tril()
        y = (u * torch.nn.functional.layer_norm(a @ v, (WIDTH,), eps=1e-6)) @ block.output.weight.T + x
        said = tower(torch.arange(STEPS)[None] < 2, steps, None, candidate)
        torch.testing.assert_close(said[0], tower.norms[0](y[-1]), rtol=0, atol=1e-12)


@given(lengths=st.lists(st.integers(0, STEPS), min_size=1, max_size=40), seed=st.integers(0, 9))
@settings(max_examples=15, deadline=None)
def test_any_lengths_in_any_order(lengths: list[int], seed: int):
    tower, rows = tower_of(bias="position_time", layers=1), rows_of(tuple(lengths), seed)
    assert (tower(*rows) - tower.padded(*rows)).abs().max() < 1e-10


def test_gradients_are_the_derivatives():
    tower, (present, steps, gaps, candidate) = tower_of(bias="position_time", width=2, heads=1), rows_of((2, 0, 1))
    steps, candidate = steps[:, :2, :2].clone().requires_grad_(), candidate[:, :2].clone().requires_grad_()
    call = lambda steps, candidate: tower(present[:, :2], steps, gaps[:, :2], candidate)  # noqa: E731
    assert torch.autograd.gradcheck(call, (steps, candidate))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_lower_precision_stays_near(dtype: torch.dtype):
    tower, (present, steps, gaps, candidate) = tower_of(bias="position_time").float(), rows_of()
    steps, candidate = steps.float(), candidate.float()
    with torch.autocast("cpu", dtype=dtype):
        said = tower(present, steps, gaps, candidate)
    assert (said.float() - tower(present, steps, gaps, candidate)).abs().max() < 0.2


def test_no_rows_are_no_rows():
    assert tower_of(bias="none")(*(tensor[:0] for tensor in rows_of())).shape == (0, WIDTH)


def test_levels_stand_side_by_side():
    tower = tower_of(bias="none", levels=3, keep=2, ratio=2)
    assert tower.width == 3 * WIDTH
    assert [level[0].tokens for level in tower.levels] == [1 + 7, 1 + 2 + math.ceil(5 / 2), 1 + 2 + math.ceil(3 / 2)]
