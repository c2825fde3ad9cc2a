"""Every student that recipes may name passes the battery, as it is and with dropout."""

import pytest

import students
from distill.testing import check_ranker


@pytest.mark.parametrize("name", students.__all__)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_keeps_the_promises_of_a_ranker(name: str, dropout: float):
    model = getattr(students, name)
    check_ranker(model, model.Config(dropout=dropout))
