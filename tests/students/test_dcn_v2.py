"""DCN V2 against its formula, written out, and on what it is for: products of features."""

import torch
from torch.nn import functional

from distill.testing import example_features, example_schema
from distill.types import Features, FeatureSchema
from students import DCNv2


def test_is_a_cross_network_beside_a_perceptron():
    torch.manual_seed(0)
    model = DCNv2(example_schema(), DCNv2.Config(embedding=4, cross_layers=3, hidden=(6, 5))).double()
    features = example_features(example_schema(), 7, torch.Generator().manual_seed(0))
    state, inputs = model.state_dict(), model.embedding(features)
    crossed = deep = inputs
    for layer in range(3):
        weight, bias = state[f"cross.layers.{layer}.weight"], state[f"cross.layers.{layer}.bias"]
        crossed = inputs * (crossed @ weight.T + bias) + crossed
    for layer in range(2):
        deep = (deep @ state[f"mlp.layers.{layer}.weight"].T + state[f"mlp.layers.{layer}.bias"]).relu()
    prediction = model(features)
    torch.testing.assert_close(prediction.representation, torch.cat([crossed, deep], -1))
    torch.testing.assert_close(prediction.logit, prediction.representation @ state["head.weight"].T)


def test_one_cross_layer_expresses_a_product_exactly():
    schema = FeatureSchema(tasks=("click",), verticals=1, tables={}, numeric=("a", "b"))
    model = DCNv2(schema, DCNv2.Config(cross_layers=1, hidden=(1,)))
    model.cross.layers[0].weight.data = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    model.cross.layers[0].bias.data.zero_()
    model.head.weight.data = functional.one_hot(torch.tensor([0]), 3).float()
    numbers = torch.randn(5, 2)
    features = Features(torch.zeros(5).long(), torch.zeros(5, 0).long(), numbers, {}, {})
    a, b = numbers.unbind(-1)
    torch.testing.assert_close(model(features).logit.squeeze(-1), a * b + a)
