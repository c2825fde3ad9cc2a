"""Teachers that cross, attend and share: the battery on every one and every switch, and what each is for."""

from pathlib import Path
from typing import Any

import pytest
import torch

from distill.errors import RecipeError
from distill.ranker import Ranker
from distill.recipe import load
from distill.testing import check_ranker, example_features, example_schema
from distill.testing.battery import CHECKS, Trial
from distill.testing.examples import example_schemas
from distill.types import PAD, Features
from teachers import GEM, AutoAttention, InterFormer, MultiDomain, MultiEmbedding, Wukong

TINY: dict[type[Ranker], dict[str, Any]] = {
    AutoAttention: {"embedding": 4, "hidden": (6,)},
    GEM: {"size": "nano", "embedding": 4, "factored": 2, "compressed": 2, "rank": 2, "hidden": (4,), "top": (6,)},
    InterFormer: {"embedding": 4, "heads": 2, "tokens": 3, "top": (6,)},
    MultiDomain: {"embedding": 4, "heads": 2, "hidden": (8, 6)},
    MultiEmbedding: {"embeddings": (2, 4), "heads": 2, "hidden": (8, 6), "tower": (6,)},
    Wukong: {"embedding": 4, "heads": 2, "factored": 3, "compressed": 2, "rank": 3, "hidden": (6,), "top": (8,)},
}

SWITCHES: list[tuple[type[Ranker], dict[str, Any]]] = [
    *((model, {}) for model in TINY),
    (AutoAttention, {"inner": "sigmoid"}),
    (GEM, {"domain": "shared", "levels": 2, "sequence_layers": 2, "across": False}),
    (InterFormer, {"interaction": "masknet"}),
    (MultiDomain, {"form": "field_weights", "crosses": 16}),
    (MultiDomain, {"form": "towers", "crosses": 16}),
    (MultiDomain, {"position": "device"}),
    (MultiEmbedding, {"gate": "ple", "experts": 2}),
    (Wukong, {"projection": "attentive"}),
]

MORE_SWITCHES: list[tuple[type[Ranker], dict[str, Any]]] = [
    (GEM, {"domain": "star", "projection": "static"}),
    (InterFormer, {"layers": 1}),
    *((MultiDomain, {"form": form, "crosses": 16}) for form in ("pln", "star")),
    (MultiDomain, {"form": "field_weights", "field_weights": "gate"}),
    (MultiEmbedding, {"gate": "stem"}),
    (Wukong, {"across": True, "layers": 3}),
]
"""Other values of the same switches; their layers have tests of their own."""


def config(model: type[Ranker], settings: dict[str, Any] | None = None) -> Any:
    return model.Config(**TINY[model] | (settings or {}))


def build(model: type[Ranker], settings: dict[str, Any] | None = None) -> Ranker:
    torch.manual_seed(0)
    ranker = model(example_schemas()["two tasks"], config(model, settings)).double()
    with torch.no_grad():
        for parameter in ranker.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return ranker


def features(rows: int = 12) -> Features:
    made = example_features(example_schema(), rows, torch.Generator().manual_seed(0))
    return made._replace(numeric=made.numeric.double(), vectors={k: v.double() for k, v in made.vectors.items()})


@pytest.mark.slow
@pytest.mark.parametrize("model", TINY)
def test_keeps_the_promises_of_a_ranker(model):
    """On every kind of features; on two tasks `test_keeps_them_with_every_switch` looks at each run of the tests."""
    check_ranker(model, config(model))


@pytest.mark.parametrize(
    ("model", "settings"), [*SWITCHES, *(pytest.param(*one, marks=pytest.mark.slow) for one in MORE_SWITCHES)]
)
def test_keeps_them_with_every_switch(model, settings):
    trial = Trial(model, config(model, settings), example_schemas()["two tasks"])
    for check in CHECKS:
        check(trial)


@pytest.mark.parametrize("model", TINY)
def test_tells_verticals_apart_and_takes_any_unknown_one_alike(model):
    ranker, rows = build(model).eval(), features()
    said = [ranker(rows._replace(vertical=torch.full((12,), one))).logit for one in (0, 1, -1, 3, 10**6)]
    assert (said[0] != said[1]).all()
    assert torch.equal(said[2], said[3]) and torch.equal(said[2], said[4])
    assert all(one.isfinite().all() for one in said)


@pytest.mark.parametrize("model", TINY)
def test_training_leaves_what_serves_unknown_verticals_where_it_started(model):
    """Its own rows of each table stay zero under weight decay and momentum."""
    ranker = build(model)
    tables = {name: weight for name, weight in ranker.named_parameters() if "vertical" in name and weight.dim() == 2}
    optimizer, rows = torch.optim.AdamW(ranker.parameters(), lr=0.1), features()
    last = {name: weight[-1].clone() for name, weight in tables.items() if weight.shape[0] == 4}
    for _ in range(2):
        optimizer.zero_grad()
        ranker(rows).logit.square().sum().backward()
        optimizer.step()
    decayed = (1 - 0.1 * 0.01) ** 2
    for name, before in last.items():
        torch.testing.assert_close(tables[name][-1], before * decayed)


def test_a_fresh_gem_is_the_same_with_and_without_attention_across_layers():
    plain, across = (GEM(example_schema(), config(GEM, {"across": on, "layers": 3})).double().eval() for on in (0, 1))
    assert across.load_state_dict(plain.state_dict(), strict=False).unexpected_keys == []
    assert torch.equal(plain(features()).logit, across(features()).logit)


def test_gem_overrides_what_its_size_sets():
    chosen = GEM.Config(size="base", layers=7)
    assert chosen.widths == GEM.Config(size="base").widths._replace(layers=7)
    with pytest.raises(ValueError, match="`embedding` must be a multiple of `heads`"):
        GEM.Config(size="base", heads=5)


@pytest.mark.parametrize("model", [GEM, InterFormer])
def test_the_oldest_step_counts_and_the_order_does(model):
    ranker, rows = build(model).eval(), features()
    full = rows.sequences["clicked"].clamp(min=0)
    heard = ranker(rows._replace(sequences=rows.sequences | {"clicked": full})).logit
    other = full.clone()
    other[:, -1] = (other[:, -1] + 1) % 9
    assert (ranker(rows._replace(sequences=rows.sequences | {"clicked": other})).logit != heard).all()
    turned = rows.sequences | {"clicked": full.flip(1)}
    assert not torch.allclose(ranker(rows._replace(sequences=turned)).logit, heard)


class TestPosition:
    def test_scores_do_not_know_the_position(self):
        ranker, rows = build(MultiDomain, {"position": "device"}).eval(), features()
        moved = rows.categorical.clone()
        moved[:, 1] = (moved[:, 1] + 1) % 4
        assert torch.equal(ranker(rows).logit, ranker(rows._replace(categorical=moved)).logit)
        assert ranker.unseen_at_scoring == ("device",)
        assert build(MultiDomain).unseen_at_scoring == ()

    def test_the_representation_never_sees_it(self):
        ranker, rows = build(MultiDomain, {"position": "device"}).train(), features()
        moved = rows.categorical.clone()
        moved[:, 1] = (moved[:, 1] + 1) % 4
        one, other = ranker(rows), ranker(rows._replace(categorical=moved))
        assert torch.equal(one.representation, other.representation)
        assert not torch.equal(one.logit, other.logit)

    def test_a_position_that_is_no_feature_is_a_fault_of_the_recipe(self):
        with pytest.raises(RecipeError, match="no categorical feature"):
            build(MultiDomain, {"position": "slot"})


def test_stem_tasks_do_not_train_each_other_s_tables():
    ranker, rows = build(MultiEmbedding, {"gate": "stem"}), features()
    ranker(rows).logit[:, 0].square().sum().backward()
    reached = [bool(table.embedding.weight.grad.any()) for table in ranker.tables]
    assert reached == [True, False, True]


def test_auto_attention_reads_a_history_by_its_pairs_alone():
    """With all weights of pairs at zero, every step counts alike, whatever the candidate is."""
    ranker, rows, heard = build(AutoAttention), features(), []
    ranker.attention[0].weight.data.zero_()
    ranker.attention[0].register_forward_hook(lambda module, inputs, output: heard.append((inputs[1], output)))
    ranker(rows)
    (steps, found), present = heard[0], rows.sequences["clicked"][..., 0] != PAD
    count = present.sum(-1).clamp(min=1)[:, None, None]
    torch.testing.assert_close(found, (steps * present[..., None, None]).sum(1) / count)


@pytest.mark.parametrize(("name", "says"), [("genderr", 'Did you mean "gender"'), ("nothing_like_it", "Valid: ")])
def test_a_position_that_is_no_id_is_refused_before_data_are_read(name: str, says: str) -> None:
    quickstart = Path(__file__).resolve().parents[2] / "recipes" / "quickstart.yaml"
    with pytest.raises(RecipeError, match=rf'teacher.model.position: the teacher sees no "{name}" .*{says}'):
        load(quickstart, [f"teacher.model={{class: teachers.MultiDomain, position: {name}}}"])
