"""LR, FM, DCN V2's low rank, FinalMLP and FinalNet against their formulas, written out by loops."""

from itertools import combinations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from distill.types import UNSEEN
from students import FM, LR, DCNv2, FinalMLP, FinalNet
from students.final_mlp import BilinearFusion


def test_what_a_feature_adds_in_lr_does_not_depend_on_the_others(features, made):
    model = made(LR, LR.Config())
    other = features._replace(numeric=features.numeric * 2, categorical=features.categorical.flip(0))
    change = {"numeric": features.numeric.flip(0)}
    moved = [model(rows._replace(numeric=rows.numeric + 1)).logit - model(rows).logit for rows in (features, other)]
    torch.testing.assert_close(*moved)
    hidden = [torch.where(torch.tensor([True, False]), rows.categorical, UNSEEN) for rows in (features, features)]
    both = [features._replace(categorical=hidden[0]), features._replace(categorical=hidden[1], **change)]
    gains = [model(rows._replace(categorical=features.categorical)).logit - model(rows).logit for rows in both]
    torch.testing.assert_close(*gains)
    assert gains[0].abs().max() > 0.01


def test_a_fresh_lr_says_nothing_of_ids(features, schema):
    model = LR(schema, LR.Config()).double()
    ids = features._replace(categorical=torch.zeros_like(features.categorical))
    torch.testing.assert_close(model(ids).logit, model(features).logit)


def test_fm_adds_up_every_pair(features, made):
    model = made(FM, FM.Config(embedding=3))
    fields, numbers = model.embedding.vectors(features)
    vectors = [*fields.unbind(1), *(numbers[:, [at]] * model.numbers[at] for at in range(numbers.shape[1]))]
    expected = model.single(features).logit
    for task in range(2):
        own = [vector[:, 3 * task : 3 * task + 3] for vector in vectors]
        expected[:, task] = expected[:, task] + sum((one * other).sum(-1) for one, other in combinations(own, 2))
    torch.testing.assert_close(model(features).logit, expected)


def test_a_cross_of_low_rank_is_a_full_one_with_the_product_of_both_matrices(features, made, schema):
    low = made(DCNv2, DCNv2.Config(embedding=2, rank=3, cross_layers=2))
    full = DCNv2(schema, DCNv2.Config(embedding=2, cross_layers=2)).double()
    inputs = low.embedding(features)
    with torch.no_grad():
        for layer, reduce, expand in zip(full.cross.layers, low.cross.reduce, low.cross.expand, strict=True):
            layer.weight.copy_(expand.weight @ reduce)
            layer.bias.copy_(expand.bias)
    torch.testing.assert_close(low.cross(inputs), full.cross(inputs))


def test_stacked_the_perceptron_reads_what_the_crosses_give(features, made):
    model = made(DCNv2, DCNv2.Config(structure="stacked", hidden=(6, 5)))
    expected = model.mlp(model.cross(model.embedding(features)))
    torch.testing.assert_close(model(features).representation, expected)


@pytest.mark.parametrize("heads", [1, 2])
def test_the_fusion_of_final_mlp_is_bilinear_in_each_head(heads):
    fusion = BilinearFusion((6, 4), heads, tasks=2).double()
    x, y = torch.randn(5, 6).double(), torch.randn(5, 4).double()
    expected = fusion.linear(torch.cat([x, y], -1))
    for row in range(5):
        for head, (one, other) in enumerate(zip(x[row].chunk(heads), y[row].chunk(heads), strict=True)):
            for task, matrix in enumerate(fusion.weight[head].chunk(2, -1)):
                expected[row, task] = expected[row, task] + one @ matrix @ other
    torch.testing.assert_close(fusion(x, y), expected)


def test_only_the_context_of_final_mlp_sets_its_gates(features, made):
    model = made(FinalMLP, FinalMLP.Config(contexts=(("device",), ())))
    first, second = model.gates
    gates = first(features)
    assert ((gates > 0) & (gates < 2)).all() and gates.std(0).max() > 0
    assert second(features).shape == (1, model.embedding.width)  # one for all rows
    item = features._replace(
        categorical=torch.stack([features.categorical[:, 0].flip(0), features.categorical[:, 1]], -1)
    )
    torch.testing.assert_close(first(item), gates)


def test_final_net_multiplies_two_linear_layers_and_averages_two_branches(features, made):
    model = made(FinalNet, FinalNet.Config(embedding=3, hidden=(4,)))
    fields, numbers = model.embedding.vectors(features)
    gated = fields * torch.einsum("gf,rfw->rgw", model.gate.weight, fields)
    plain = torch.cat([fields.flatten(1), numbers], -1)
    logits = [
        head(block(branch, vector))
        for head, branch, vector in zip(
            model.heads, model.branches, (torch.cat([plain, gated.flatten(1)], -1), plain), strict=True
        )
    ]
    torch.testing.assert_close(model(features).logit, (logits[0] + logits[1]) / 2)


def block(branch: torch.nn.Module, inputs: Tensor) -> Tensor:
    """One layer of a block, by torch's own functions."""
    weight, bias, norm = branch.layers[0].weight, branch.layers[0].bias, branch.norms[0]
    added, factor = inputs @ weight[:4].T + bias[:4], inputs @ weight[4:].T + bias[4:]
    return functional.layer_norm(added * (1 + factor), (4,), norm.weight, norm.bias).relu()
