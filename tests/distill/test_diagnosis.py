"""What diagnosis says of rankers whose answer is known beforehand."""

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from distill.data.impressions import VALID
from distill.diagnosis import gradient_correlation, importance_by_age, layer, permutation_importance
from distill.diagnosis.drawing import figures, page
from distill.diagnosis.running import diagnosed
from distill.representing import trained
from distill.testing import example_features, example_schema
from distill.types import PAD, Batch, Prediction
from teachers import AttentiveCross

ROWS = 400


class Known(nn.Module):
    """Leans on the number `price` and, of the history, on its newest step; on nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([3.0, 2.0], dtype=torch.float64))

    def forward(self, features):
        newest = features.sequences["clicked"][:, 0, 1]
        liked = torch.where(newest == PAD, 0, (newest % 2) * 2 - 1)
        logit = self.weight[0] * features.numeric[:, 1] + self.weight[1] * liked
        return Prediction(logit.unsqueeze(-1), features.numeric)


@pytest.fixture
def batch() -> Batch:
    features = example_features(example_schema(), ROWS, torch.Generator().manual_seed(1))
    features = features._replace(numeric=features.numeric.double(), vectors={"text": features.vectors["text"].double()})
    label = (Known()(features).logit.detach() > 0).double()
    everywhere = torch.ones_like(label, dtype=torch.bool)
    return Batch(features, label, everywhere, torch.ones(ROWS, dtype=torch.float64), {})


def test_importance_is_zero_where_a_ranker_does_not_lean_and_large_where_it_does(batch):
    found = permutation_importance(Known().eval(), example_schema(), batch, seed=0)
    assert set(found) == {"item", "device", "age", "price", "hour", "clicked", "topics", "devices", "text"}
    leans = {name for name, rise in found.items() if rise != 0}
    assert leans == {"price", "clicked"}
    assert found["price"] > found["clicked"] > 0.05


def test_importance_by_age_finds_the_step_that_counts(batch):
    newest, *older = importance_by_age(Known().eval(), batch, "clicked", seed=0)
    assert newest > 0.05
    assert older == [0] * 4


def test_correlation_is_the_cosine_of_two_verticals_gradients(batch):
    torch.manual_seed(0)
    ranker = AttentiveCross(example_schema(), AttentiveCross.Config(embedding=4, hidden=(6,))).double()
    half = ROWS // 2
    halves = [Batch(*_rows(batch, slice(0, half))), Batch(*_rows(batch, slice(half, ROWS)))]
    found = gradient_correlation(ranker, halves, [0, 2])["head.weight"]
    gradients = []
    for vertical in (0, 2):
        rows = batch.features.vertical == vertical
        ranker.zero_grad()
        cross_entropy(ranker(batch.features).logit[rows], batch.label[rows], reduction="sum").backward()
        gradients.append(ranker.head.weight.grad.flatten().clone())
    cosine = torch.cosine_similarity(*gradients, dim=0)
    torch.testing.assert_close(
        found,
        torch.stack(
            [torch.stack([one, other]) for one, other in ((cosine / cosine, cosine), (cosine, cosine / cosine))]
        ),
    )


def test_verticals_that_want_the_opposite_are_seen(batch):
    """Labels of one vertical turned round: the shared weight is pulled both ways."""
    turned = torch.where((batch.features.vertical == 1).unsqueeze(-1), 1 - batch.label, batch.label)
    found = gradient_correlation(Known(), [batch._replace(label=turned)], [0, 1, 7])["weight"]
    assert found[0, 1] < -0.5
    assert found[2].isnan().all()


def test_tables_of_embeddings_are_left_out(batch):
    ranker = AttentiveCross(example_schema(), AttentiveCross.Config(embedding=4, hidden=(6,))).double()
    assert "embedding.weight" not in gradient_correlation(ranker, [batch], [0, 1])


def test_a_layer_is_one_vector(batch):
    """The cosine of all gradients of a module side by side."""
    ranker = AttentiveCross(example_schema(), AttentiveCross.Config(embedding=4, hidden=(6,))).double()
    found = gradient_correlation(ranker, [batch], [0, 2], layer)["head"][0, 1]
    gradients = []
    for vertical in (0, 2):
        rows = batch.features.vertical == vertical
        ranker.zero_grad()
        cross_entropy(ranker(batch.features).logit[rows], batch.label[rows], reduction="sum").backward()
        gradients.append(torch.cat([ranker.head.bias.grad.flatten(), ranker.head.weight.grad.flatten()]))
    torch.testing.assert_close(found, torch.cosine_similarity(*gradients, dim=0))


def test_a_diagnosis_is_of_validation_rows_by_vertical_and_is_drawn(taught):
    ranker = trained(taught.lesson, taught.knowledge.folder)
    found = diagnosed(taught.lesson, ranker, verticals=3, rows=200)
    impressions = taught.impressions
    sizes = {name: len(impressions.select(VALID, name)) for name in impressions.verticals}
    assert found["verticals"] == sorted(sizes, key=lambda name: -sizes[name])[:3]
    assert found["rows"] == min(200, sum(sizes.values()))
    assert found["correlation"]["all"][0][0] == pytest.approx(1) and {"head"} < found["correlation"].keys()
    assert set(found["importance"]) == {"all", *found["verticals"]}
    assert len(found["importance_by_age"]["clicked"]) == 4
    found |= {"recipe": "tiny", "teacher": "students.DNN"}
    drawings = figures(found)
    assert {"figures/gradients.svg", "figures/importance.svg", "figures/age-clicked.svg"} < drawings.keys()
    assert drawings["figures/gradients.svg"].count("<rect") == 9
    assert all(name in page(found) for name in (*found["verticals"], "user_activity"))


def _rows(batch: Batch, which: slice) -> list:
    features = batch.features
    some = type(features)(
        features.vertical[which],
        features.categorical[which],
        features.numeric[which],
        {name: ids[which] for name, ids in features.sequences.items()},
        {name: vector[which] for name, vector in features.vectors.items()},
    )
    return [some, batch.label[which], batch.valid[which], batch.weight[which], {}]
