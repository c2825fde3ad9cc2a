"""Ids hidden in training: at their rates, by member and step alone, and nothing else of the features."""

import pytest
import torch
from pydantic import TypeAdapter

from distill.data.hiding import Hiding, hidden
from distill.data.settings import Feature
from distill.types import PAD, UNSEEN, Features

HISTORY = {"kind": "sequence", "columns": {"seen": "item", "stars": None}, "newest": "first", "times": "at"}
ROWS, STEPS, WHOLE = 4000, 3, slice(0, 4000)


def hiding(**features: object) -> Hiding:
    return Hiding.of({name: TypeAdapter(Feature).validate_python(one) for name, one in features.items()})


@pytest.fixture
def features() -> Features:
    """Two members of the same rows, whose second event is missing."""
    ids = torch.ones(2, ROWS, 2, dtype=torch.int32)
    events = torch.full((2, ROWS, STEPS, 3), 5, dtype=torch.int32)
    events[:, :, 1] = PAD
    numbers = torch.zeros(2, ROWS, 1)
    return Features(torch.zeros(2, ROWS).long(), ids, numbers, {"history": events, "other": events}, {})


def test_ids_are_hidden_at_their_rate() -> None:
    """Drawn from seed and words: the same for twins, other in the next step."""
    rates = torch.tensor([0.0, 0.5, 0.9])
    mask = hidden(rates, [3, 3, 4], (ROWS,), 2)
    assert mask.float().mean(1)[0].tolist() == pytest.approx([0.0, 0.5, 0.9], abs=0.03)
    assert torch.equal(mask[0], mask[1]) and not torch.equal(mask[0], mask[2])
    assert not torch.equal(mask[0], hidden(rates, [3], (ROWS,), 3)[0])


def test_histories_lose_ids_of_some_columns_only(features: Features) -> None:
    """Each event for itself; what is not there stays so, and what is not to be hidden stays as it was."""
    rule = hiding(place="categorical", item="categorical", history=HISTORY | {"hide": {"seen": 0.4}})
    shown = rule.apply(features, [1, 2], 7, ROWS, WHOLE)
    before, after = features.sequences["history"], shown.sequences["history"]
    assert torch.equal(after[..., 1:], before[..., 1:]) and after[:, :, 1].eq(PAD).all()
    gone = after[:, :, ::2, 0] == UNSEEN
    assert gone.float().mean((0, 1)).tolist() == pytest.approx([0.4, 0.4], abs=0.03)
    assert gone.all(-1).float().mean().item() == pytest.approx(0.16, abs=0.02)
    assert shown.sequences["other"] is features.sequences["other"]
    assert torch.equal(shown.categorical, features.categorical)
    assert not torch.equal(after[0], after[1]), "another seed, other events"


def test_processes_that_share_a_step_hide_the_same(features: Features) -> None:
    """Each its part of what one alone hides."""
    rule = hiding(
        item={"kind": "categorical", "hide": 0.3}, place="categorical", history=HISTORY | {"hide": {"seen": 0.4}}
    )
    whole = rule.apply(features, [1, 2], 7, ROWS, WHOLE)
    for own in (slice(0, 1500), slice(1500, ROWS)):
        events = {name: one[:, own] for name, one in features.sequences.items()}
        part = features._replace(categorical=features.categorical[:, own], sequences=events)
        shown = rule.apply(part, [1, 2], 7, ROWS, own)
        assert torch.equal(shown.categorical, whole.categorical[:, own])
        assert torch.equal(shown.sequences["history"], whole.sequences["history"][:, own])


def test_rates_are_those_of_the_features() -> None:
    place = {"kind": "categorical", "hide": 0.25}
    assert hiding(item="categorical", place=place, age="numeric").categorical.tolist() == [0.0, 0.25]
    assert hiding(place=place).any and hiding(history=HISTORY | {"hide": {"stars": 0.5}}).any
    assert hiding(history=HISTORY | {"hide": {"stars": 0.5}}).sequences["history"].tolist() == [0.0, 0.5, 0.0]
    assert not hiding(item="categorical", history=HISTORY | {"hide": {"seen": 0.0}}, age="numeric").any
