"""Whether labels and teacher pull alike: the cosine of two gradients that are taken apart."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cosine_similarity

from distill.agreement import ROWS, cosines, spread
from distill.objective import Distillation, Objective
from distill.types import Batch, Features, Prediction, Signal
from tests.distill.test_adapter import learner, world


def taught(batch: Batch, logit: torch.Tensor) -> Batch:
    said = Signal(Prediction(logit, torch.zeros(1, logit.shape[1], 0)), torch.ones(logit.shape[:2]).bool())
    return batch._replace(knowledge={"teacher": said})


def joined(batches: list[Batch]) -> Batch:
    seen = (torch.cat([getattr(one.features, name) for one in batches]) for name in Features._fields[:3])
    marks = torch.cat([each.knowledge["teacher"].prediction.logit for each in batches])
    said = Signal(Prediction(marks, torch.zeros(len(batches), marks.shape[1], 0)), torch.ones(marks.shape[:2]).bool())
    label, valid, weight = (
        torch.cat([getattr(each, name) for each in batches]) for name in ("label", "valid", "weight")
    )
    return Batch(Features(*seen, {}, {}), label, valid, weight, {"teacher": said})


def test_it_is_the_cosine_of_what_autograd_finds_for_each_alone() -> None:
    """Of members at any places of the stack, at any weight of the channel, and by plain torch."""
    batches = [world(40, shift, 1.0, seed) for seed, shift in enumerate((0.0, 3.0, -3.0))]
    one = learner(None, (1, 2, 3), 10)
    one.configure_model()
    one.objective = Objective(Distillation({"teacher": 1.0}, torch.tensor([0.1, 0.0, 0.9]), torch.ones(3), "serving"))
    places = [2, 0]
    found = cosines(one, joined([batches[place] for place in places]), places)
    for place, cosine in zip(places, found, strict=True):
        gradients = []
        marks = batches[place].knowledge["teacher"].prediction.logit.sigmoid()
        for target in (batches[place].label, marks):
            weights = {name: tensor.requires_grad_() for name, tensor in one.fleet.state(place).items()}
            logit = batches[place].features.numeric @ weights["head.weight"].mT + weights["head.bias"]
            loss = binary_cross_entropy_with_logits(logit, target)
            gradients.append(torch.cat([each.flatten() for each in torch.autograd.grad(loss, list(weights.values()))]))
        assert cosine == pytest.approx(cosine_similarity(*gradients, dim=0).item(), abs=1e-4)


def test_a_teacher_who_says_the_opposite_is_told_from_one_who_agrees() -> None:
    """And one to whom nobody listens says nothing."""
    batch = world(200, 0.0, 1.0)
    one = learner(None, (1,), 10, weight=0.5)
    one.configure_model()
    sure = 20 * (2 * batch.label - 1)
    assert cosines(one, taught(batch, sure), [0])[0] == pytest.approx(1, abs=1e-4)
    assert cosines(one, taught(batch, -sure), [0])[0] < -0.3
    deaf = learner(None, (1,), 10, weight=0.0)
    deaf.configure_model()
    assert math.isnan(cosines(deaf, taught(batch, sure), [0])[0])


def test_rows_are_few_and_evenly_spread() -> None:
    assert spread(np.arange(1000))[[0, -1]].tolist() == [0, 999] and len(spread(np.arange(1000))) == ROWS
    assert spread(np.arange(5) + 7).tolist() == [7, 8, 9, 10, 11]
