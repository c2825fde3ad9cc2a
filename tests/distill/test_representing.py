"""What a trained teacher gives: the same whatever is hidden from it, and never more than it was shown."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from distill.data.impressions import TRAIN, View
from distill.feed import predictions
from distill.inputs import moments
from distill.knowledge import Knowledge, KnowledgeStore, KnowledgeWriter
from distill.representing import Shown, tables_of, trained, vectors_of
from distill.sharing import starts
from distill.types import PAD, UNSEEN, Batch, Prediction
from tests.distill.conftest import FEATURES, Taught

USER = ("user_id", "user_activity", "clicked")
KINDS = ("categorical", "numeric", "sequences", "vectors")


class Changed(View):
    """A view in which each row has one feature, or its label, of the row behind it."""

    def __init__(self, view: View, name: str) -> None:
        self.__dict__ |= view.__dict__
        self.view, self.name = view, name

    def take(self, rows: torch.Tensor) -> Batch:
        batch, schema = self.view.take(rows), self.view.schema(None)
        if self.name == "label":
            return batch._replace(label=1 - batch.label)
        features = batch.features._replace(
            categorical=rolled(batch.features.categorical, [name == self.name for name in schema.categorical]),
            numeric=rolled(batch.features.numeric, [name.startswith(self.name) for name in schema.numeric]),
            sequences=self._rolled(batch.features.sequences),
            vectors=self._rolled(batch.features.vectors),
        )
        return batch._replace(features=features)

    def _rolled(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: one.roll(1, 0) if name == self.name else one for name, one in features.items()}


def rolled(columns: torch.Tensor, which: list[bool]) -> torch.Tensor:
    return torch.where(torch.tensor(which), columns.roll(1, 0), columns)


def said(taught: Taught, view: View) -> torch.Tensor:
    ranker = trained(taught.lesson, taught.knowledge.folder)
    rows = np.arange(300)
    return torch.cat([prediction.representation for _, prediction in predictions(ranker, view, rows)])


@pytest.fixture(scope="module")
def vectors(taught: Taught) -> Knowledge:
    return vectors_of(taught.lesson, taught.knowledge, USER, taught.store)


@pytest.mark.parametrize("name", [*FEATURES, "label"])
def test_only_what_is_shown_makes_a_difference(taught: Taught, name: str) -> None:
    """To the bit; each feature is shown once and hidden once. The row's own label makes none at all."""
    view = taught.lesson.view
    for shown in (USER, tuple(set(FEATURES) - set(USER))):
        same = torch.equal(said(taught, Shown(view, shown)), said(taught, Shown(Changed(view, name), shown)))
        assert same == (name not in shown)


def test_what_is_hidden_is_unseen_empty_or_zero(taught: Taught) -> None:
    """As the teacher has met it in training: the id of the unseen, not another that happens to be 0."""
    view = taught.lesson.view
    whole, seen = (one.take(torch.arange(100)).features for one in (view, Shown(view, USER)))
    shown = [name in USER for name in view.schema(None).categorical]
    assert torch.equal(seen.categorical[:, shown], whole.categorical[:, shown])
    assert seen.categorical[:, [not one for one in shown]].eq(UNSEEN).all()
    assert seen.sequences["tags"].eq(PAD).all() and torch.equal(seen.sequences["clicked"], whole.sequences["clicked"])
    assert seen.vectors["text"].eq(0).all() and seen.numeric[:, 1:].eq(0).all()
    assert torch.equal(seen.vertical, whole.vertical)


def test_everything_shown_is_what_the_teacher_says_of_later_rows(taught: Taught) -> None:
    """By its last state, in which it scored validation and test rows; so it is the trained one that is asked."""
    every = vectors_of(taught.lesson, taught.knowledge, tuple(FEATURES), taught.store)
    later = torch.from_numpy(taught.lesson.later_rows)
    ours, theirs = (table.take(later).prediction.representation for table in (every, taught.knowledge))
    torch.testing.assert_close(ours, theirs, rtol=2e-3, atol=1e-4)


def test_vectors_are_those_of_the_masked_view(taught: Taught, vectors: Knowledge) -> None:
    """Every row, to sixteen bits; no log-odds are left beside them."""
    stored, covered = vectors.take(torch.arange(300))
    torch.testing.assert_close(
        stored.representation, said(taught, Shown(taught.lesson.view, USER)), rtol=1e-3, atol=1e-4
    )
    assert vectors.take(torch.arange(vectors.manifest.rows)).covered.all() and covered.all()
    assert (vectors.manifest.kind, vectors.manifest.tasks, stored.logit.shape) == ("snapshot", (), (300, 0))


def test_moments_are_those_of_training_rows(taught: Taught, vectors: Knowledge) -> None:
    """As NumPy has them, of what is stored."""
    rows = torch.from_numpy(taught.impressions.select(TRAIN))
    found = vectors.take(rows).prediction.representation.double().numpy()
    spread = found.std(0)
    assert vectors.facts["mean"] == pytest.approx(found.mean(0).tolist())
    assert vectors.facts["spread"] == pytest.approx(np.where(spread > 1e-6, spread, 1).tolist())


def test_a_coordinate_that_moves_in_later_rows_only_keeps_its_size(taught: Taught, tmp_path: Path) -> None:
    """Divided by a spread of nothing, it would drown every other feature."""
    train = taught.impressions.split == TRAIN
    hidden = torch.from_numpy(np.stack([np.where(train, 3.0, 9.0), np.arange(len(train)) % 2], 1))
    changes = {"fingerprint": "beef", "tasks": (), "width": 2}
    writer = KnowledgeStore(tmp_path).writer(taught.knowledge.manifest.model_copy(update=changes))
    writer.add(np.arange(len(train)), Prediction(torch.zeros(len(train), 0), hidden))
    found = moments(writer.read(), taught.impressions.select(TRAIN))
    assert (found["mean"][0], found["spread"][0]) == (3.0, 1.0)
    assert found["spread"][1] == pytest.approx(0.5, rel=0.01)


def test_vectors_are_made_once_for_each_teacher_and_choice_of_features(
    taught: Taught, vectors: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In whatever order the features are named."""
    other = vectors_of(taught.lesson, taught.knowledge, USER[:2], taught.store)
    assert other.manifest.fingerprint != vectors.manifest.fingerprint
    monkeypatch.setattr("distill.representing.trained", lambda *_: pytest.fail("the teacher was asked again"))
    again = vectors_of(taught.lesson, taught.knowledge, USER[::-1], taught.store)
    assert again.manifest.fingerprint == vectors.manifest.fingerprint


def test_vectors_whose_making_was_cut_off_are_made_again(
    taught: Taught, vectors: Knowledge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a table is not found; shards and moments taken piece by piece change nothing."""
    store, commit = KnowledgeStore(tmp_path), KnowledgeWriter.commit
    monkeypatch.setattr("distill.representing.SHARD", 700)

    def die(self: KnowledgeWriter) -> None:
        commit(self)
        if len(self.shards) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(KnowledgeWriter, "commit", die)
        vectors_of(taught.lesson, taught.knowledge, USER, store)
    assert store.find(vectors.manifest.fingerprint) is None
    again = vectors_of(taught.lesson, taught.knowledge, USER, store)
    every = torch.arange(vectors.manifest.rows)
    ours, theirs = (table.take(every).prediction.representation for table in (vectors, again))
    torch.testing.assert_close(ours, theirs, rtol=2e-3, atol=1e-4)
    assert again.facts["spread"] == pytest.approx(vectors.facts["spread"], rel=1e-3)


def test_the_trained_teacher_is_the_one_that_was_kept(taught: Taught) -> None:
    """Weights of the last state, ready to be asked."""
    ranker = trained(taught.lesson, taught.knowledge.folder)
    kept = load_file(taught.knowledge.folder / "snapshot.safetensors")
    assert all(torch.equal(tensor, kept[f"0/{name}"]) for name, tensor in ranker.state_dict().items())
    assert not ranker.training


def test_tables_are_cut_out_and_weighted_by_the_candidates_of_training_rows(taught: Taught) -> None:
    """Each table of the schema by itself; as wide as the teacher's, nothing of it is lost."""
    schema, view = taught.lesson.view.schema(None), taught.lesson.view
    table = trained(taught.lesson, taught.knowledge.folder).embedding
    embedding = table.weight.detach()
    found, narrow = (tables_of(taught.lesson, taught.knowledge, width).tables for width in (6, 2))
    assert found.keys() == schema.tables.keys()
    rows = torch.from_numpy(taught.impressions.select(TRAIN))
    ids = view.take(rows).features.categorical[:, schema.categorical.index("item_id")].long()
    for name, first in starts(schema, table).items():
        whole = embedding[first : first + schema.tables[name]]
        torch.testing.assert_close(found[name] @ found[name].T, whole @ whole.T, rtol=0, atol=1e-6)
    weight = 1 + ids.bincount(minlength=schema.tables["item_id"])
    first = starts(schema, table)["item_id"]
    whole = embedding[first : first + len(weight)].double() * weight.sqrt()[:, None]
    kept = (narrow["item_id"].double() * weight.sqrt()[:, None]).square().sum()
    assert kept.item() == pytest.approx(torch.linalg.svdvals(whole)[:2].square().sum().item(), rel=1e-5)
