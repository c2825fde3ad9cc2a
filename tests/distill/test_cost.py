"""What a ranker costs: against counts by hand and against the ranker itself."""

from itertools import pairwise

import pytest
import torch

from distill.cost import OPTIMIZER_COPIES, cost
from distill.ranker import resolve
from distill.testing import example_schema

IDS, VECTOR, NUMBERS = 30 + 4 + 9, 6, 3 + 4
"""Of the example: rows of its tables, vectors of a row (two ids, two columns of a history, two sets), and numbers."""


def test_of_a_perceptron_is_counted_by_hand():
    model = resolve("students.DNN")
    counted = cost(lambda: model(example_schema(), model.Config(embedding=5, hidden=(11, 3))), example_schema())
    inputs = VECTOR * 5 + NUMBERS
    assert counted.sparse == IDS * 5
    assert counted.dense == (inputs + 1) * 11 + (11 + 1) * 3 + (3 + 1)
    assert counted.flops == 2 * (inputs * 11 + 11 * 3 + 3)
    assert counted.memory == OPTIMIZER_COPIES * 4 * (counted.dense + counted.sparse)


@pytest.mark.parametrize("path", ["teachers.GEM", "teachers.Wukong", "teachers.HSTU", "students.DeepFM"])
def test_counts_every_parameter_of_the_ranker_itself(path):
    model = resolve(path)
    counted = cost(lambda: model(example_schema(), model.Config()), example_schema())
    weights = model(example_schema(), model.Config()).parameters()
    assert counted.dense + counted.sparse == sum(weight.numel() for weight in weights)


def test_nothing_of_a_giant_s_size_is_allocated():
    """Eight gigabytes with its optimizer, counted in a moment; each size is larger than the one before."""
    model = resolve("teachers.GEM")
    sizes = ("nano", "small", "base", "large", "xl")
    counted = [cost(lambda s=size: model(example_schema(), model.Config(size=s)), example_schema()) for size in sizes]
    assert counted == sorted(counted)
    for smaller, larger in pairwise(counted):
        assert all(one < other for one, other in zip(smaller, larger, strict=True))
    assert counted[-1].memory > 4e9


def test_leaves_the_generator_and_the_default_device_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    model = resolve("students.DNN")
    cost(lambda: model(example_schema(), model.Config()), example_schema())
    found = torch.rand(3)
    assert found.device.type == "cpu"
    assert torch.equal(found, expected)
