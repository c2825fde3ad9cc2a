"""DIN, TwoTower, PEPNet, MaskNet and the students of several tasks: formulas by loops, and who sees what."""

import pytest
import torch
from torch.nn import functional

from distill.layers import Selection
from distill.types import PAD
from students import DIN, PLE, MaskNet, MMoE, PEPNet, TwoTower


def test_din_adds_up_the_steps_by_what_they_share_with_the_candidate(features, made):
    model = made(DIN, DIN.Config(embedding=3, attention=(5,)))
    embedded, (unit,) = model.embedding.embed(features), model.units
    expected = torch.zeros(9, 6).double()
    for row in range(9):
        candidate = embedded.fields[row, 0]
        for step in range(5):
            if features.sequences["clicked"][row, step, 0] != PAD:
                whole = embedded.steps["clicked"][row, step]
                item = whole[:3]
                pair = torch.cat([candidate, item, candidate - item, candidate * item])
                expected[row] = expected[row] + unit.output(unit.mlp(pair[None])).squeeze() * whole
    torch.testing.assert_close(model._wanted(0, model.read[0], embedded), expected)


def test_din_hears_nothing_of_an_empty_history(features, made):
    model = made(DIN, DIN.Config())
    empty = {**features.sequences, "clicked": torch.full_like(features.sequences["clicked"], PAD)}
    embedded = model.embedding.embed(features._replace(sequences=empty))
    assert not model._wanted(0, model.read[0], embedded).any()


@pytest.mark.parametrize("score", ["dot", "cosine"])
def test_the_score_of_two_towers_is_the_product_of_their_vectors(features, made, schema, score):
    items = ("item", "price", "topics")
    model = made(TwoTower, TwoTower.Config(item=items, width=4, score=score, temperature=0.5))
    item = model.item(Selection(schema, items, "item")(features)).unflatten(-1, (2, 4))
    others = ("device", "age", "hour", "clicked", "devices", "text")
    user = model.user(Selection(schema, others, "item")(features)).unflatten(-1, (2, 4))
    product = functional.cosine_similarity(user, item, -1) if score == "cosine" else (user * item).sum(-1)
    torch.testing.assert_close(model(features).logit, product / 0.5 + model.bias)


def test_a_tower_has_no_feature_and_no_weight_of_the_other(features, made):
    model = made(TwoTower, TwoTower.Config(item=("item", "price")))
    assert (model.item.schema.categorical, model.item.schema.numeric) == (("item",), ("price",))
    assert not model.item.schema.sequences and not model.item.schema.vectors
    assert (model.user.schema.categorical, model.user.schema.numeric) == (("device",), ("age", "hour"))
    shared = {id(weight) for weight in model.user.parameters()} & {id(weight) for weight in model.item.parameters()}
    assert shared == set()


def test_a_tower_is_exported_alone(features, made):
    model = made(TwoTower, TwoTower.Config(item=("item", "price")))
    own = model.sides[1](features)
    with torch.no_grad():
        exported = torch.export.export(model.item, (own,)).module()
    torch.testing.assert_close(exported(own), model.item(own))


def test_the_item_is_what_histories_are_about_unless_the_recipe_names_it(made):
    assert made(TwoTower, TwoTower.Config()).item.schema.categorical == ("item", "device")


def test_only_the_prior_and_the_inputs_without_a_gradient_reach_a_gate(features, made):
    model = made(PEPNet, PEPNet.Config(prior=("device",), embedding=3, gate=4, hidden=(5,)))
    prior = model.prior.weight[features.categorical[:, 1]]
    inputs, mlp = model.embedding(features), model.mlp
    gates = []
    for gate, seen in ((mlp.embedding_gate, inputs), (mlp.gates[0], None)):
        seen = inputs * gates[0] if seen is None else seen
        between = functional.linear(torch.cat([prior, seen], -1), gate.hidden.weight, gate.hidden.bias).relu()
        gates.append(2 * functional.linear(between, gate.gate.weight, gate.gate.bias).sigmoid())
    layer = mlp.layers[0]
    expected = functional.linear(inputs * gates[0], layer.weight, layer.bias).relu() * gates[1]
    torch.testing.assert_close(model(features).representation, expected)


def test_parallel_masks_all_read_the_features(features, made):
    model = made(MaskNet, MaskNet.Config(structure="parallel", blocks=(4, 3), hidden=(5,)))
    inputs = model.embedding(features)
    blocks = []
    for block in model.blocks:
        mask, layer, norm = block.masks[0], block.layers[0], block.norms[0]
        normal = functional.layer_norm(inputs, inputs.shape[-1:], block.normal.weight, block.normal.bias)
        between = functional.linear(inputs, mask.aggregate.weight, mask.aggregate.bias).relu()
        masked = normal * functional.linear(between, mask.project.weight, mask.project.bias)
        out = functional.linear(masked, layer.weight, layer.bias)
        blocks.append(functional.layer_norm(out, (len(layer.bias),), norm.weight, norm.bias).relu())
    torch.testing.assert_close(model(features).representation, model.top(torch.cat(blocks, -1)))


def test_each_task_of_mmoe_weighs_the_same_experts_by_its_own_gate(features, made):
    model = made(MMoE, MMoE.Config(experts=3, hidden=(4,)))
    inputs = model.embedding(features)
    said = [expert(inputs) for expert in model.mixture.experts]
    for task in range(2):
        share = model.mixture.gates[task].linear(inputs).softmax(-1)
        heard = sum(share[:, [at]] * vector for at, vector in enumerate(said))
        logit = model.towers.heads[task](model.towers.towers[task](heard))
        torch.testing.assert_close(model(features).logit[:, [task]], logit)


@pytest.mark.parametrize(("model", "deep"), [(PLE, False), (MMoE, True)])
def test_a_task_of_ple_does_not_train_the_experts_of_another(features, made, model, deep):
    student = made(model, model.Config())
    student(features).logit[:, 0].sum().backward()
    experts = student.mixture.experts if deep else student.extraction.layers[0].groups[1]
    assert any(weight.grad is not None and weight.grad.any() for weight in experts.parameters()) == deep
