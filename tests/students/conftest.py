"""What tests of students begin with: rows in fp64, and students none of whose weights is what it was made as."""

from collections.abc import Callable

import pytest
import torch

from distill.ranker import Ranker
from distill.testing import example_features
from distill.testing.examples import example_schemas
from distill.testing.trial import cast
from distill.types import Features, FeatureSchema, Settings


@pytest.fixture
def schema() -> FeatureSchema:
    """A little of everything, and two tasks."""
    return example_schemas()["two tasks"]


@pytest.fixture
def features(schema: FeatureSchema) -> Features:
    return cast(example_features(schema, 9, torch.Generator().manual_seed(0)), torch.float64)


@pytest.fixture
def made(schema: FeatureSchema) -> Callable[[type[Ranker], Settings], Ranker]:
    """Makes a student in fp64 and moves every weight: what starts at zero would hide a mistake."""

    def make(model: type[Ranker], config: Settings) -> Ranker:
        ranker = model(schema, config).double()
        with torch.no_grad():
            for parameter in ranker.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
        return ranker.eval()

    return make
