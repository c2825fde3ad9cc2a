"""Batches are those of their steps, however many of them are gathered at once."""

import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_leaves

from distill import feed
from distill.data.impressions import TRAIN
from distill.feed import Feed
from distill.sampling import Shuffled
from tests.distill.conftest import Taught

FOUND = torch.accelerator.current_accelerator(check_available=True)


@pytest.mark.parametrize("gathered", [1, 70, 10_000])
def test_a_batch_is_the_gather_of_its_step(taught: Taught, monkeypatch: pytest.MonkeyPatch, gathered: int) -> None:
    """With fills, members that are done, steps of unequal size, and a teacher; ids are hidden step by step."""
    monkeypatch.setattr(feed, "GATHERED", gathered)
    view, training = taught.impressions.view(None, "all"), taught.impressions.select(TRAIN)
    rows, seeds = [training[:101], training[101:140]], [4, 5]
    steps = list(Shuffled(rows, seeds, 25, [2, 2]))
    assert len({step.shape for step in steps}) > 2 and any((step < 0).any() for step in steps)
    more = {"heard": 0.5, "group": np.arange(taught.impressions.rows) % 7}
    batches = list(Feed(view, steps, seeds, {"teacher": taught.knowledge}, first=3, **more))
    for number, (batch, step) in enumerate(zip(batches, steps, strict=True), 3):
        alone = Feed(view, [step], seeds, {"teacher": taught.knowledge}, first=number, **more)
        expected = view.take(step)
        assert torch.equal(batch.label, expected.label) and torch.equal(batch.weight, expected.weight)
        assert torch.equal(batch.features.sequences["clicked"], expected.features.sequences["clicked"])
        said, covered = taught.knowledge.take(step, representation=False)
        assert torch.equal(batch.knowledge["teacher"].covered, covered)
        assert torch.equal(batch.knowledge["teacher"].prediction.logit, said.logit + 0.5)
        assert torch.equal(batch.group, torch.from_numpy(more["group"])[step])
        pairs = zip(tree_leaves(batch), tree_leaves(next(iter(alone))), strict=True)
        assert all(one.shape == other.shape and torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param(FOUND, marks=pytest.mark.skipif(FOUND is None, reason="this machine has no accelerator"))],
)
def test_gathered_on_a_device_batches_are_the_same(taught: Taught, device: str | torch.device) -> None:
    """With fills, hidden ids, histories, vectors and marks; the feed that was there before stays where it was."""
    view, training = taught.impressions.view(None, "all"), taught.impressions.select(TRAIN)
    steps = list(Shuffled([training[:101], training[101:140]], [4, 5], 25, [1, 1]))
    feed = Feed(view, steps, [4, 5], {"teacher": taught.knowledge}, representation=True)
    there = feed.on(torch.device(device))
    assert feed.size == there.size > taught.impressions.rows * taught.knowledge.manifest.width
    for here, other in zip(list(feed), list(there), strict=True):
        for one, two in zip(tree_leaves(here), tree_leaves(other), strict=True):
            assert one is two is None or (one.device.type == "cpu" and torch.equal(one, two.cpu()))
