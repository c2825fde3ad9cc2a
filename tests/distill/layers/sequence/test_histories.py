"""HistoryTowers: candidates, times, and what is said where a history has none."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from distill.errors import RecipeError
from distill.layers import FieldEmbedding
from distill.layers.sequence import HistoryTowers, SequenceSettings
from distill.testing import example_features, example_schema
from distill.types import FeatureSchema, SequenceField

TIMED = SequenceField("clicked", 5, ("item", "topic", "clicked/then"), times=True)


def schema_with(*histories: SequenceField) -> FeatureSchema:
    schema = example_schema()
    return replace(schema, sequences=histories, tables={**schema.tables, "clicked/then": 64})


def towers(schema: FeatureSchema, **switches: Any) -> HistoryTowers:
    return HistoryTowers(schema, 4, 3, SequenceSettings(width=8, **switches))


def test_a_history_with_times_is_biased_by_time_unless_told_otherwise():
    timeless = replace(TIMED, name="bought", tables=("item",), times=False)
    found = towers(schema_with(TIMED, timeless))
    assert [one.tower.settings.bias for one in found.towers] == ["position_time", "position"]
    assert towers(schema_with(TIMED), bias="none").towers[0].tower.settings.bias == "none"


def test_a_bias_by_time_needs_times_and_says_where():
    schema = schema_with(TIMED, replace(TIMED, name="bought", times=False), replace(TIMED, name="seen", times=False))
    with pytest.raises(RecipeError) as refused:
        towers(schema, bias="position_time")
    assert [fault.where for fault in refused.value.faults] == ["data.features.bought", "data.features.seen"]
    assert "bias: position" in str(refused.value)


def test_the_candidate_takes_the_columns_of_the_tables_that_it_shares():
    (tower,) = towers(schema_with(TIMED)).towers
    assert tower.columns == [0, None, None]
    assert tower.others == []


def test_a_history_of_other_things_meets_all_that_is_known_of_the_candidate():
    (tower,) = towers(schema_with(replace(TIMED, tables=("topic",), times=False))).towers
    assert (tower.columns, tower.others) == ([None], [0, 1])


@pytest.mark.parametrize("changed", ["gaps", "candidate", "context"])
def test_what_it_says_depends_on(changed: str):
    schema = schema_with(TIMED)
    found, embedding = towers(schema), FieldEmbedding(schema, 4)
    torch.nn.init.normal_(embedding.weight)
    torch.nn.init.normal_(found.towers[0].tower.levels[0][1].bias.time)
    features, context = example_features(schema, 12, torch.Generator().manual_seed(0)), torch.randn(12, 3)
    (before,) = found(features, embedding.embed(features), context)
    embedded = embedding.embed(features)
    if changed == "gaps":
        ids = features.sequences["clicked"].clone()
        ids[..., -1] = torch.where(ids[..., -1] >= 0, (ids[..., -1] + 20) % 64, ids[..., -1])
        features = features._replace(sequences={**features.sequences, "clicked": ids})
    elif changed == "candidate":
        embedded = embedded._replace(fields=embedded.fields + torch.randn(4))
    else:
        context = context + 1
    (after,) = found(features, embedded, context)
    moved = (before != after).any(-1)
    empty = ~embedded.present["clicked"].any(-1)
    assert moved[~empty].all()
    assert not moved[empty].any() or changed != "gaps"
