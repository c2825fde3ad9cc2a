"""Students beside FuxiCTR's layers, on the same weights: the same log-odds. Runs where FuxiCTR is installed.

Beside the toolkit: pip install --no-deps fuxictr==2.3.10 h5py, then pytest tests/students/test_peers.py.
"""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from distill.layers import FieldEmbedding
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema
from students import DNN, FM, LR, DCNv2, DeepFM

layers = pytest.importorskip("fuxictr.pytorch.layers", reason="FuxiCTR is not installed", exc_type=ImportError)
from fuxictr.features import FeatureMap  # noqa: E402  what is not there cannot be imported above

HEIGHTS = {"a": 7, "b": 50, "c": 3, "d": 11}
SCHEMA = FeatureSchema(("click",), 1, HEIGHTS, tuple(HEIGHTS))
WIDTH, HIDDEN, ROWS = 5, (8, 6), 40


@pytest.fixture
def features(tmp_path: Path) -> FeatureMap:
    """The same columns in their words."""
    found = FeatureMap("rows", str(tmp_path))
    for name, height in HEIGHTS.items():
        found.features[name] = {"type": "categorical", "source": "", "vocab_size": height}
    found.labels, found.num_fields = ["label"], len(HEIGHTS)
    found.set_column_index()
    return found


def drawn(ranker: Ranker) -> Ranker:
    """With weights none of which is zero."""
    generator = torch.Generator().manual_seed(0)
    for weight in ranker.parameters():
        weight.data = torch.randn(weight.shape, generator=generator) * 0.6
    return ranker.eval()


def ids() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.stack([torch.randint(height, (ROWS,), generator=generator) for height in HEIGHTS.values()], 1)


def said(ranker: Ranker) -> Tensor:
    seen = Features(torch.zeros(ROWS).long(), ids().int(), torch.zeros(ROWS, 0), {}, {})
    return ranker(seen).logit


def asked() -> dict[str, Tensor]:
    return dict(zip(HEIGHTS, ids().unbind(1), strict=True))


def filled(theirs: nn.Module, ours: FieldEmbedding) -> nn.Module:
    """Their tables with our rows; ours lie end to end."""
    tables = [module for module in theirs.modules() if isinstance(module, nn.Embedding)]
    assert [len(table.weight) for table in tables] == list(HEIGHTS.values())
    for table, rows in zip(tables, ours.weight.split(list(HEIGHTS.values())), strict=True):
        table.weight.data = rows.detach().clone()
    return theirs


def copied(theirs: nn.Module, *ours: nn.Linear) -> nn.Module:
    """Their linear layers with the weights of ours."""
    linear = [module for module in theirs.modules() if isinstance(module, nn.Linear)]
    for one, other in zip(linear, ours, strict=True):
        one.load_state_dict({name: value.clone() for name, value in other.state_dict().items()})
    return theirs


def embedded(features: FeatureMap, ours: FieldEmbedding) -> Tensor:
    return filled(layers.FeatureEmbedding(features, WIDTH), ours)(asked())


def single(features: FeatureMap, ours: FieldEmbedding) -> Tensor:
    """Terms of first order, without a bias."""
    return filled(layers.LogisticRegression(features, use_bias=False), ours)(asked())


def assert_same(ranker: Ranker, theirs: Tensor) -> None:
    assert theirs.std() > 0.1
    assert torch.allclose(said(ranker), theirs, rtol=0, atol=1e-5)


def test_lr(features: FeatureMap) -> None:
    ours = drawn(LR(SCHEMA, LR.Config()))
    assert_same(ours, single(features, ours.weights) + ours.linear.bias)


def test_fm(features: FeatureMap) -> None:
    ours = drawn(FM(SCHEMA, FM.Config(embedding=WIDTH)))
    pairs = layers.InnerProductInteraction(len(HEIGHTS), output="product_sum")(embedded(features, ours.embedding))
    assert_same(ours, pairs + single(features, ours.single.weights) + ours.single.linear.bias)


def test_dnn(features: FeatureMap) -> None:
    ours = drawn(DNN(SCHEMA, DNN.Config(embedding=WIDTH, hidden=HIDDEN)))
    theirs = copied(layers.MLP_Block(len(HEIGHTS) * WIDTH, list(HIDDEN), output_dim=1), *ours.mlp.layers, ours.head)
    assert_same(ours, theirs(embedded(features, ours.embedding).flatten(1)))


def test_deep_fm(features: FeatureMap) -> None:
    ours = drawn(DeepFM(SCHEMA, DeepFM.Config(embedding=WIDTH, hidden=HIDDEN)))
    fields = embedded(features, ours.embedding)
    perceptron = layers.MLP_Block(len(HEIGHTS) * WIDTH, list(HIDDEN), output_dim=1)
    deep = copied(perceptron, ours.pairs.layer, *ours.mlp.layers, ours.head)(fields.flatten(1))
    pairs = layers.InnerProductInteraction(len(HEIGHTS), output="product_sum")(fields)
    assert_same(ours, deep + pairs + single(features, ours.first_order) + ours.linear.bias)


@pytest.mark.parametrize("structure", ["parallel", "stacked"])
def test_dcn_v2(features: FeatureMap, structure: str) -> None:
    config = DCNv2.Config(embedding=WIDTH, hidden=HIDDEN, structure=structure, cross_layers=3)
    ours = drawn(DCNv2(SCHEMA, config))
    flat = embedded(features, ours.embedding).flatten(1)
    cross = copied(layers.CrossNetV2(flat.shape[1], 3), *ours.cross.layers)(flat)
    perceptron = copied(layers.MLP_Block(flat.shape[1], list(HIDDEN)), *ours.mlp.layers)
    before = perceptron(cross) if structure == "stacked" else torch.cat([cross, perceptron(flat)], -1)
    assert_same(ours, ours.head(before))
