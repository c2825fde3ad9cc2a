"""The teacher's vector as a feature: standardised, beside the others, silent where there is none."""

from pathlib import Path

import numpy as np
import pytest
import torch

from distill.data.impressions import TRAIN, View
from distill.data.slicing import seconds_a_unit
from distill.inputs import NAME, Inputs, cached
from distill.knowledge import Knowledge, KnowledgeStore, KnowledgeWriter
from distill.recipe.moves import InputChannel
from distill.representing import vectors_of
from distill.types import Prediction
from tests.distill.conftest import Taught

SEEN = ["item_id", "user_activity", "text"]


@pytest.fixture(scope="module")
def view(taught: Taught) -> View:
    return taught.impressions.view(SEEN, "vertical")


@pytest.fixture(scope="module")
def vectors(taught: Taught) -> Knowledge:
    return vectors_of(taught.lesson, taught.knowledge, ("user_id", "user_activity"), taught.store)


def written(taught: Taught, folder: Path, table: torch.Tensor, covered: torch.Tensor, **facts: object) -> Knowledge:
    """A table of vectors by hand."""
    changes = {"fingerprint": "beef", "kind": "snapshot", "tasks": (), "width": table.shape[1]}
    writer: KnowledgeWriter = KnowledgeStore(folder).writer(taught.knowledge.manifest.model_copy(update=changes))
    for known in (True, False):
        rows = (covered == known).nonzero().flatten().numpy()
        writer.add(rows, Prediction(torch.zeros(len(rows), 0), table[rows]), covered=known)
    writer.commit()
    return writer.finish(facts)


def test_coordinates_of_training_rows_have_mean_0_and_spread_1(taught: Taught, view: View, vectors: Knowledge) -> None:
    """All but those that do not move, which are 0."""
    rows = torch.from_numpy(taught.impressions.select(TRAIN))
    seen = Inputs(view, vectors).take(rows).features.vectors[NAME].double()
    moves = vectors.take(rows).prediction.representation.std(0) > 1e-6
    assert moves.sum() >= 2
    assert seen.mean(0).abs().max() < 1e-4
    assert seen.std(0, unbiased=False)[moves].sub(1).abs().max() < 1e-4
    assert not seen[:, ~moves].any()


def test_rows_without_a_vector_and_fills_get_zeros(taught: Taught, view: View, tmp_path: Path) -> None:
    """The others are shifted and scaled by what the table says of itself, member by member."""
    rows = taught.impressions.rows
    covered = torch.arange(rows) % 3 > 0
    vectors = written(taught, tmp_path, torch.full((rows, 2), 5.0), covered, mean=[1.0, 3.0], spread=[2.0, 0.5])
    wanted = torch.tensor([[0, 1, 2, -1], [4, 3, -1, -1]])
    seen = Inputs(view, vectors).take(wanted).features.vectors[NAME]
    there = torch.tensor([[False, True, True, False], [True, False, False, False]])
    assert torch.equal(seen, there.unsqueeze(-1) * torch.tensor([2.0, 4.0]))


def test_a_ranker_is_told_of_one_more_vector(view: View, vectors: Knowledge, taught: Taught) -> None:
    """Whatever else the student sees stays as it is, its own vectors too; so does the view that is widened."""
    inputs, vertical = Inputs(view, vectors), taught.impressions.verticals[1]
    plain, wide = view.schema(vertical), inputs.schema(vertical)
    assert wide.vectors == {"text": 3, NAME: 5} and plain.vectors == {"text": 3}
    assert wide.tables == plain.tables and wide.numeric == plain.numeric
    rows = torch.arange(8)[None]
    ours, theirs = inputs.take(rows), view.take(rows)
    assert torch.equal(ours.features.categorical, theirs.features.categorical)
    assert torch.equal(ours.features.vectors["text"], theirs.features.vectors["text"])
    assert torch.equal(ours.label, theirs.label) and inputs.hide is view.hide
    assert ours.features.vectors[NAME].shape == (1, 8, 5)


def test_other_vectors_make_another_view(view: View, vectors: Knowledge, taught: Taught) -> None:
    """By its fingerprint."""
    other = vectors_of(taught.lesson, taught.knowledge, ("user_id",), taught.store)
    names = {view.fingerprint, Inputs(view, vectors).fingerprint, Inputs(view, other).fingerprint}
    assert len(names) == 3 and Inputs(view, vectors).fingerprint in names


def test_users_whom_the_cache_misses_have_no_vector_anywhere(taught: Taught, view: View, vectors: Knowledge) -> None:
    """The same users in training and in scoring, about as many as asked for; the others have the vector as before."""
    impressions, rows = taught.impressions, torch.arange(taught.impressions.rows)
    cache = cached(impressions, InputChannel(features=("user_id",), misses=0.3))
    plain, seen = (Inputs(view, vectors, one).take(rows).features.vectors[NAME] for one in (None, cache))
    user = torch.from_numpy(np.asarray(impressions.user))
    missed = torch.from_numpy(cache < 0)
    assert not seen[missed].any() and torch.equal(seen[~missed], plain[~missed])
    shares = torch.zeros(int(user.max()) + 1).index_add(0, user, missed.float()) / user.bincount()
    assert set(shares[user].tolist()) == {0.0, 1.0}
    assert 0.1 < shares[user.unique()].mean() < 0.5
    more = cached(impressions, InputChannel(features=("user_id",), misses=0.6))
    assert (cache[more >= 0] >= 0).all() and (more < 0).sum() > missed.sum()
    assert cached(impressions, InputChannel(features=("user_id",))) is None
    fills = Inputs(view, vectors, cache).take(torch.tensor([[0, -1]])).features.vectors[NAME]
    assert not fills[0, 1].any()


def test_a_cache_that_lags_has_the_vector_of_an_earlier_row(taught: Taught) -> None:
    """By brute force: the last row of the same user and vertical that is so many hours older, if there is any."""
    impressions, unit = taught.impressions, seconds_a_unit(taught.impressions)
    cache = cached(impressions, InputChannel(features=("user_id",), age=5.0))
    hours = np.asarray(impressions.time, dtype=float) * unit / 3600
    user, vertical = np.asarray(impressions.user), np.asarray(impressions.vertical)
    for row in range(0, impressions.rows, 7):
        fits = (user == user[row]) & (vertical == vertical[row]) & (hours <= hours[row] - 5)
        assert (cache[row] >= 0) == fits.any()
        if fits.any():
            assert fits[cache[row]] and hours[cache[row]] == hours[fits].max()
    assert 0 < (cache >= 0).sum() < impressions.rows
