"""Types of tensors are checked in every test, and in long trainings not for ever."""

import first_calls
import pytest
import torch
from jaxtyping import TypeCheckError

from distill.losses import binary_cross_entropy


def refused() -> bool:
    try:
        binary_cross_entropy(torch.zeros(3), torch.zeros(3).int())
    except TypeCheckError:
        return True
    return False


@pytest.mark.parametrize("test", ["one", "next"])
def test_each_test_checks_its_first_calls(test: str) -> None:
    assert refused()
    for _ in range(first_calls.CALLS):
        binary_cross_entropy(torch.zeros(3), torch.zeros(3))
    assert not refused()
