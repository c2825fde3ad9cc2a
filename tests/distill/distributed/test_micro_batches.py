"""Micro-batches: every row of a batch in one of them, whatever a batch has or lacks."""

import pytest
import torch

from distill.distributed.learner import _cut
from distill.types import Batch, Features


@pytest.mark.parametrize("group", [None, torch.arange(7)[None]])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_rows_go_into_micro_batches_in_order(group: torch.Tensor | None, count: int) -> None:
    label = torch.arange(7.0)[None, :, None]
    ids = torch.zeros(1, 7).long()
    features = Features(ids, ids[..., None], torch.zeros(1, 7, 0), {}, {})
    parts = list(_cut(Batch(features, label, label > 0, label[..., 0], {}, group=group), count))
    assert [last for last, _, _ in parts] == [False] * (count - 1) + [True]
    assert [first for _, first, _ in parts] == [int(part.label[0, 0, 0]) for _, _, part in parts]
    assert torch.cat([part.label for _, _, part in parts], 1).equal(label)
    if group is not None:
        assert torch.cat([part.group for _, _, part in parts], 1).equal(group)
