"""SequenceSettings: switches that exclude each other are told apart by a sentence."""

import pytest
from pydantic import ValidationError

from distill.layers.sequence import SequenceSettings


def test_heads_share_the_width():
    with pytest.raises(ValidationError, match="`width` must be a multiple of `heads`"):
        SequenceSettings(width=10, heads=3)


def test_rotation_needs_pairs():
    with pytest.raises(ValidationError, match="pairs of numbers"):
        SequenceSettings(width=6, heads=2, bias="rotary")
    assert SequenceSettings(width=8, heads=2, bias="rotary").width == 8


def test_a_hidden_layer_is_so_many_widths():
    assert SequenceSettings(width=6, expansion=8 / 3).hidden == 16
