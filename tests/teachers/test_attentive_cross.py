"""AttentiveCross: the battery, and what a vertical and a history change."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from distill.testing import check_ranker, example_features, example_schema
from distill.types import PAD, Features, FeatureSchema
from teachers import AttentiveCross


@pytest.mark.parametrize("dropout", [pytest.param(0.0, marks=pytest.mark.slow), 0.3])
def test_keeps_the_promises_of_a_ranker(dropout: float):
    check_ranker(AttentiveCross, AttentiveCross.Config(embedding=4, hidden=(8,), dropout=dropout))


@pytest.fixture
def features() -> Features:
    return example_features(example_schema(), 16, torch.Generator().manual_seed(0))


def teacher(schema: FeatureSchema) -> AttentiveCross:
    torch.manual_seed(0)
    return AttentiveCross(schema, AttentiveCross.Config(embedding=4, hidden=(8,))).double()


def test_tells_verticals_apart(features):
    model = teacher(example_schema())
    logits = [model(features._replace(vertical=torch.full((16,), vertical))).logit for vertical in range(3)]
    assert (logits[0] != logits[1]).all()
    assert (logits[1] != logits[2]).all()


@pytest.mark.parametrize("unknown", [-1, 3, 1_000_000])
def test_an_unknown_vertical_adds_nothing_gates_nothing_and_shifts_nothing(features, unknown):
    embedding, gate, bias = teacher(example_schema()).verticals(torch.full((16,), unknown))
    assert not embedding.any()
    assert (gate == 1).all()
    assert not bias.any()


def test_training_leaves_the_unknown_vertical_as_it_is(features):
    model = teacher(example_schema())
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    functional.softplus(model(features).logit).sum().backward()
    optimizer.step()
    assert [tensor.unique().item() for tensor in model.verticals(torch.tensor([7]))] == [0, 1, 0]


def test_the_bias_of_a_vertical_shifts_its_own_logits_alone(features):
    model = teacher(example_schema())
    before = model(features).logit
    model.verticals.bias.data[1] += 2
    moved = (model(features).logit - before).squeeze(-1)
    torch.testing.assert_close(moved, 2 * (features.vertical == 1).double())


def test_attention_asks_for_the_candidate_s_own_columns():
    schema = example_schema()
    assert teacher(schema).attention.candidates == ([schema.categorical.index("item")],)
    apart = replace(schema, categorical=("device",))
    assert teacher(apart).attention.candidates == ([0],)


def test_a_history_speaks_of_the_candidate_beyond_its_mean(features):
    model, heard = teacher(example_schema()), []
    torch.nn.init.normal_(model.embedding.weight)
    model.attention.reads[0].register_forward_hook(lambda module, inputs, output: heard.append(output))
    model(features)
    model(features._replace(categorical=(features.categorical + 1) % 4))
    length = (features.sequences["clicked"] != PAD).any(-1).sum(-1)
    assert (heard[0] != heard[1]).all(-1)[length > 1].all()
    torch.testing.assert_close(heard[0][length == 1], heard[1][length == 1])
    assert not heard[0][length == 0].any()


def test_an_empty_history_is_no_history(features):
    empty = {name: torch.full_like(ids, PAD) for name, ids in features.sequences.items()}
    assert teacher(example_schema())(features._replace(sequences=empty)).logit.isfinite().all()
