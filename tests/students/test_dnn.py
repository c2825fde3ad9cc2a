"""DNN against its formula, written out."""

import torch

from distill.testing import example_features, example_schema
from students import DNN


def test_is_a_perceptron_over_everything_side_by_side():
    torch.manual_seed(0)
    model = DNN(example_schema(), DNN.Config(embedding=4, hidden=(6, 5)))
    features = example_features(example_schema(), 7, torch.Generator().manual_seed(0))
    state = model.state_dict()
    hidden = model.embedding(features)
    for layer in range(2):
        hidden = (hidden @ state[f"mlp.layers.{layer}.weight"].T + state[f"mlp.layers.{layer}.bias"]).relu()
    prediction = model(features)
    torch.testing.assert_close(prediction.representation, hidden)
    torch.testing.assert_close(prediction.logit, hidden @ state["head.weight"].T)


def test_a_fresh_one_has_no_opinion_on_the_base_rate():
    assert not DNN(example_schema(), DNN.Config()).head.bias.any()
