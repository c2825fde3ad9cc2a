"""What attention knows of order: masks, distances and times."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distill.layers.sequence.bias import RelativeBias, causal, seconds_ago, time_apart
from distill.types import GAPS


class TestMask:
    def test_lets_a_token_read_itself_and_older_ones_that_are_there(self):
        mask = causal(torch.tensor([[True, True, False], [True, False, False]]), torch.zeros(0))
        assert (mask[:, 0] == 0).tolist() == [
            [[True, True, False], [False, True, False], [False] * 3],
            [[True, False, False], [False] * 3, [False] * 3],
        ]

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
    def test_what_is_masked_has_no_share_no_slope_and_is_a_number(self, dtype):
        mask = causal(torch.tensor([[True, False]]), torch.zeros(0, dtype=dtype))
        scores = (torch.tensor([[[[3.0, 900.0], [-900.0, 2.0]]]], dtype=dtype)).requires_grad_()
        for weights in (torch.nn.functional.silu(scores + mask), (scores + mask).softmax(-1)):
            assert weights.isfinite().all()
            (slope,) = torch.autograd.grad(weights[..., 0, :].sum(), scores)
            assert weights[..., 0, 1] == 0
            assert slope.isfinite().all() and slope[..., 0, 1] == 0


class TestRelativeBias:
    def test_is_one_number_a_distance(self):
        bias = RelativeBias(5, time=False)
        found = bias(3, None)[0]
        assert all(found[0, key] == bias.position[key, 0] for key in range(3))
        assert found[1, 2] == found[0, 1]

    def test_and_one_a_bucket_of_time(self):
        bias, apart = RelativeBias(5, time=True), torch.randint(GAPS, (2, 3, 3))
        found = bias(3, apart) - RelativeBias.forward(bias, 3, torch.zeros_like(apart))
        torch.testing.assert_close(found[:, 0], (bias.time[apart] - bias.time[0])[..., 0])

    def test_both_learn(self):
        bias = RelativeBias(3, time=True)
        bias(3, torch.zeros(2, 3, 3, dtype=torch.int64))[..., 0, :].sum().backward()
        assert bias.position.grad.flatten().tolist() == [2, 2, 2]
        assert bias.time.grad[0] == 6


class TestTimes:
    @given(seconds=st.floats(0, 2**55))
    def test_an_event_was_about_as_long_ago_as_its_bucket_says(self, seconds: float):
        gap = 1 + math.floor(math.log2(1 + seconds))
        ago = seconds_ago(torch.tensor([[gap]])).item()
        assert 0.74 * (1 + seconds) <= 1 + ago <= 1.51 * (1 + seconds)

    def test_an_unknown_time_is_now(self):
        assert seconds_ago(torch.tensor([[0]])).item() == 0

    def test_the_candidate_meets_events_in_the_very_buckets_of_the_data(self):
        gaps = torch.arange(1, 60)[None]
        ago = torch.nn.functional.pad(seconds_ago(gaps), (1, 0))
        assert time_apart(ago)[0, 0, 1:].tolist() == (gaps[0] - 1).tolist()

    def test_an_event_is_asked_about_at_the_time_of_the_next(self):
        """Ten seconds and two hundred ago: the older one's successor is the newer one, whose own is the impression."""
        apart = time_apart(torch.tensor([[0.0, 10.0, 200.0]]))[0]
        bucket = lambda seconds: math.floor(math.log2(1 + seconds))  # noqa: E731
        assert apart.tolist() == [
            [bucket(seconds) for seconds in (0, 10, 200)],
            [bucket(seconds) for seconds in (0, 10, 200)],
            [bucket(seconds) for seconds in (10, 0, 190)],
        ]
