"""The four sequence teachers: the battery over each, over each switch, and what their names promise."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from distill.recipe.sections import Model
from distill.testing import check_ranker, example_features, example_schema
from distill.types import PAD, FeatureSchema, SequenceField
from teachers import GPT, HSTU, Llama, SASRec
from teachers.sequence_ranker import SequenceRanker

SMALL = {"embedding": 4, "width": 8, "mlp": (8,), "representation": 6, "cross_layers": 1, "layers": 1}


@pytest.mark.parametrize("model", [HSTU, *(pytest.param(one, marks=pytest.mark.slow) for one in (SASRec, Llama, GPT))])
def test_keeps_the_promises_of_a_ranker(model: type[SequenceRanker]):
    check_ranker(model, model.Config(**SMALL))


@pytest.mark.slow
@pytest.mark.parametrize(
    "switch",
    [
        {"attention": "softmax", "bias": "none", "layers": 2},
        {"bias": "rotary", "residual": "post", "gate": False, "ffn": "swiglu", "norm": "rms"},
        {"ffn": "gelu", "places": True, "levels": 2, "keep": 2, "ratio": 2, "dropout": 0.3},
    ],
    ids=str,
)
def test_keeps_them_with_any_switch(switch: dict[str, Any]):
    check_ranker(HSTU, HSTU.Config(**{**SMALL, **switch}))


def timed() -> FeatureSchema:
    """The example, with the times of its history."""
    schema = example_schema()
    history = SequenceField("clicked", 5, ("item", "topic", "clicked/then"), times=True)
    return replace(schema, sequences=(history, *schema.sequences[1:]), tables={**schema.tables, "clicked/then": 64})


def hstu(schema: FeatureSchema, **switches: Any) -> HSTU:
    torch.manual_seed(0)
    return HSTU(schema, HSTU.Config(**{**SMALL, **switches})).double()


def test_times_reach_every_weight_and_no_other_row():
    schema = timed()
    model = hstu(schema)
    features = example_features(schema, 24, torch.Generator().manual_seed(0))
    features = features._replace(numeric=features.numeric.double())
    features = features._replace(vectors={name: value.double() for name, value in features.vectors.items()})
    said = model(features).logit
    said.square().sum().backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []
    some = torch.tensor([4, 20])
    take = lambda tree: torch.utils._pytree.tree_map(lambda tensor: tensor[some], tree)  # noqa: E731
    assert (model(take(features)).logit - said[some]).abs().max() < 1e-12


def test_a_recipe_names_the_tower_and_overrides_any_switch():
    model = Model.model_validate({"class": "teachers.SASRec", "bias": "position", "residual": "pre", **SMALL})
    block = model.build(example_schema()).towers.towers[0].tower.levels[0][0]
    assert (block.post, block.softmax, block.bias is not None, block.ffn.activation) == (False, True, True, "relu")


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        (HSTU, ("silu", None, "pre", True, "none", "layer", False)),
        (Llama, ("softmax", "rotary", "pre", False, "swiglu", "rms", False)),
        (GPT, ("softmax", "none", "pre", False, "gelu", "layer", True)),
        (SASRec, ("softmax", "none", "post", False, "relu", "layer", True)),
    ],
)
def test_each_is_a_setting_of_the_same_switches(model: type[SequenceRanker], wanted: tuple):
    found = model.Config()
    assert (found.attention, found.bias, found.residual, found.gate, found.ffn, found.norm, found.places) == wanted


def test_an_empty_history_is_no_history():
    schema = example_schema()
    features = example_features(schema, 8, torch.Generator().manual_seed(0))
    empty = {name: torch.full_like(ids, PAD) for name, ids in features.sequences.items()}
    assert hstu(schema).float()(features._replace(sequences=empty)).logit.isfinite().all()
