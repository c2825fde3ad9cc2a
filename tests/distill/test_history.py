"""What a teacher said of a user's earlier impressions: whose, which, how much of each, and what comes of it."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from at_hand import small_log, written
from sklearn.decomposition import PCA

from distill.data.impressions import TEST, TRAIN, Impressions, load
from distill.data.settings import DataSettings
from distill.errors import KnowledgeMismatch
from distill.history import fitted, histories_of, latest_histories
from distill.inputs import HISTORY, NAME, Inputs, layers
from distill.knowledge import Knowledge, KnowledgeStore, import_table
from distill.pipeline import run
from distill.progress import Progress
from distill.recipe import Recipe
from distill.recipe import load as load_recipe
from distill.recipe.moves import HistoryChannel
from distill.store import Store
from distill.training import train_students
from distill.transfer import course_of, members_of
from tests.distill.conftest import Taught, everything, taught_in

WIDE, HOURS = 6, 3600
CHANNELS = {
    "all": {"length": 1000},
    "few": {"length": 5},
    "window": {"length": 7, "hours": 9},
    "late": {"length": 4, "age": 5, "hours": 30},
}


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    """Few users, and hours that many of their rows have in common."""
    rng, rows = np.random.default_rng(5), 500
    hour = np.sort(rng.integers(40, size=rows))
    columns = {"user": rng.integers(9, size=rows), "time": hour * HOURS, "vertical": rng.choice(["a", "b"], rows)}
    split = np.where(hour < 24, "train", np.where(hour < 30, "valid", "test"))
    return pl.DataFrame(columns | {"split": split, "label": rng.integers(2, size=rows), "x": rng.random(rows)})


@pytest.fixture(scope="module")
def impressions(frame: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Impressions:
    folder = tmp_path_factory.mktemp("history")
    frame.sample(fraction=1, shuffle=True, seed=1).write_parquet(folder / "rows.parquet")
    roles = {"path": folder / "rows.parquet", "time": "time", "user": "user", "features": {"x": "numeric"}}
    return load(DataSettings.model_validate({**roles, "split": {"by": "column", "column": "split"}}), folder / "data")


@pytest.fixture(scope="module")
def said(impressions: Impressions) -> np.ndarray:
    return np.random.default_rng(2).normal(size=(impressions.rows, WIDE)).astype(np.float16) * np.arange(1, WIDE + 1)


@pytest.fixture(scope="module")
def knowledge(impressions: Impressions, said: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Knowledge:
    """All rows but those of the first two hours, which nobody has scored."""
    return written(impressions, tmp_path_factory.mktemp("said"), said=said, scored=hours_of(impressions) >= 2)


def hours_of(impressions: Impressions) -> np.ndarray:
    return np.asarray(impressions.time) // HOURS


def by_hand(impressions: Impressions, said: np.ndarray, user: int, hour: float, **channel: float) -> np.ndarray | None:
    """The mean of a user's vectors before an hour, block by block from the newest; the last block that fits in part."""
    numbers = pl.DataFrame({"user": np.asarray(impressions.user), "hour": hours_of(impressions)}).with_row_index("row")
    mine = numbers.filter(pl.col("user") == user, pl.col("hour") >= 2, pl.col("hour") < hour)
    mine = mine.filter(
        pl.col("hour") <= hour - channel.get("age", 0), pl.col("hour") >= hour - channel.get("hours", 99)
    )
    left, total, count = channel["length"], np.zeros(WIDE), 0.0
    for _, block in mine.sort("hour", descending=True).group_by("hour", maintain_order=True):
        counted = min(left, len(block))
        total += said[block["row"].to_numpy()].astype(np.float16).astype(float).mean(0) * counted
        left, count = left - counted, count + counted
    return total / count if count else None


@pytest.mark.parametrize("name", CHANNELS)
def test_earlier_rows_of_the_same_user_count_and_no_others(
    impressions: Impressions, said: np.ndarray, knowledge: Knowledge, name: str, tmp_path: Path
) -> None:
    """By brute force, every row: strictly earlier, in any vertical, blocks whole or in part, newest first."""
    channel = HistoryChannel(width=WIDE, **CHANNELS[name])
    table = histories_of(channel, impressions, knowledge, KnowledgeStore(tmp_path))
    centre, directions = (np.array(table.facts[fact]) for fact in ("centre", "directions"))
    found, covered = table.take(torch.arange(impressions.rows))
    for row, hour in list(enumerate(hours_of(impressions)))[::6]:
        meant = by_hand(impressions, said, impressions.user[row], hour, **CHANNELS[name])
        assert bool(covered[row]) == (meant is not None)
        if meant is not None:
            np.testing.assert_allclose(found.representation[row], (meant - centre) @ directions, rtol=2e-3, atol=2e-3)
    assert 0 < covered.sum() < impressions.rows


def test_what_comes_later_and_what_others_do_changes_nothing(
    impressions: Impressions, said: np.ndarray, knowledge: Knowledge, tmp_path: Path
) -> None:
    """Vectors of that hour and later, of other users, and of the rows that nobody has scored are drawn anew."""
    user, hour = impressions.user[0], 20
    channel = HistoryChannel(length=6, width=WIDE)
    older = (hours_of(impressions) < hour) & (hours_of(impressions) >= 2) & (np.asarray(impressions.user) == user)
    other = np.where(older[:, None], said, np.random.default_rng(9).normal(size=said.shape))
    tables = [
        histories_of(
            channel,
            impressions,
            written(impressions, tmp_path / str(number), said=one, scored=hours_of(impressions) >= 2),
            KnowledgeStore(tmp_path / str(number)),
        )
        for number, one in enumerate((said, other))
    ]
    rows = np.flatnonzero((np.asarray(impressions.user) == user) & (hours_of(impressions) <= hour))
    raw = []
    for table in tables:
        centre, directions = (np.array(table.facts[fact]) for fact in ("centre", "directions"))
        found, covered = table.take(torch.from_numpy(rows))
        raw.append((found.representation.double().numpy() @ directions.T + centre) * covered.numpy()[:, None])
    np.testing.assert_allclose(raw[0], raw[1], atol=2e-2)
    assert np.abs(raw[0]).max() > 1


def test_directions_are_the_principal_ones_of_scored_training_rows(
    impressions: Impressions, said: np.ndarray, knowledge: Knowledge
) -> None:
    rows = np.flatnonzero((np.asarray(impressions.split) == TRAIN) & (hours_of(impressions) >= 2))
    ours, theirs = fitted(knowledge, rows, 3), PCA(3).fit(said[rows].astype(np.float16).astype(float))
    turned = ours.directions.numpy().T @ theirs.components_.T
    np.testing.assert_allclose(np.abs(turned), np.eye(3), atol=1e-6)
    assert ours.kept == pytest.approx(theirs.explained_variance_ratio_.sum(), rel=1e-6)
    assert fitted(knowledge, rows, 99).directions.shape == (WIDE, WIDE)


def test_vectors_that_are_no_numbers_are_refused(impressions: Impressions, said: np.ndarray, tmp_path: Path) -> None:
    broken = np.where(np.arange(len(said))[:, None] == 7, np.inf, said)
    with pytest.raises(KnowledgeMismatch, match="a representation of constant is infinite, or no number"):
        fitted(written(impressions, tmp_path, said=broken), np.arange(20), 2)


def test_a_cache_has_what_each_user_leaves_behind(
    impressions: Impressions, said: np.ndarray, knowledge: Knowledge, tmp_path: Path
) -> None:
    """After all training and validation rows, none of which is a test row."""
    channel = HistoryChannel(length=5, width=WIDE)
    table = histories_of(channel, impressions, knowledge, KnowledgeStore(tmp_path))
    rows, vectors = latest_histories(channel, impressions, knowledge.folder, table.folder)
    centre, directions = (np.array(table.facts[fact]) for fact in ("centre", "directions"))
    assert impressions.user[rows].tolist() == sorted(set(impressions.user.tolist()))
    assert (np.asarray(impressions.split)[rows] != TEST).all()
    first_test = hours_of(impressions)[np.asarray(impressions.split) == TEST].min()
    for user, vector in zip(impressions.user[rows], vectors, strict=True):
        meant = by_hand(impressions, said, user, first_test, length=5)
        np.testing.assert_allclose(vector, (meant - centre) @ directions, rtol=1e-5, atol=1e-5)


def test_labels_reach_no_history_of_their_own_time_or_earlier(taught: Taught, tmp_path: Path) -> None:
    """A teacher of the same log with other labels from some time on says the same of rows until then, and so do their
    histories: no label is in the vector of a row that it belongs to."""
    time = np.asarray(taught.impressions.time)
    turn = np.quantile(time[taught.impressions.select(TRAIN)], 0.6)
    flipped = pl.when(pl.Series(time >= turn)).then(1 - pl.col("label")).otherwise("label")
    other = taught_in(tmp_path / "other", everything().with_columns(label=flipped))
    rows = np.flatnonzero(time <= turn)
    vectors = [one.knowledge.take(torch.from_numpy(rows)) for one in (taught, other)]
    known = [signal.prediction.representation[signal.covered] for signal in vectors]
    assert len(known[0]) > 100 and torch.equal(known[0], known[1])
    later = torch.from_numpy(np.flatnonzero(time > turn))
    assert not torch.equal(*(one.knowledge.take(later).prediction.representation for one in (taught, other)))


RECIPE = """
name: histories
data:
  path: rows.parquet
  row_id: row_id
  time: time
  user: user_id
  split: {by: column, column: split}
  features: {item_id: categorical, hour: categorical}
teacher: {knowledge: scores.parquet}
students:
  model: {class: students.DNN, embedding: 4, hidden: [8]}
  train: {epochs: 3, batch: 64, learning_rate: 5.0e-3}
  distill:
    logit: {weight: 0.3}
    history: {length: 20, width: 3}
evidence: {resamples: 100}
tracking: {uri: null}
workers: 1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world in which users differ in how readily they click, which only the teacher's vectors show, and blurred."""
    folder, rng = tmp_path_factory.mktemp("planted"), np.random.default_rng(3)
    log = small_log(5000)
    readiness = rng.normal(size=60) * 1.5
    truth = (log["p_true"] / (1 - log["p_true"])).log().to_numpy() + readiness[log["user_id"].to_numpy() % 60]
    label = (rng.random(len(log)) < 1 / (1 + np.exp(-truth))).astype(int)
    blurred = readiness[log["user_id"].to_numpy() % 60] + rng.normal(size=len(log)) / 2
    vectors = np.stack([blurred, *rng.normal(size=(3, len(log)))], 1) @ rng.normal(size=(4, 4))
    log.with_columns(label=pl.Series(label)).write_parquet(folder / "rows.parquet")
    scores = log.select("row_id").with_columns(logit=pl.Series(truth), representation=pl.Series(vectors.tolist()))
    scores.write_parquet(folder / "scores.parquet")
    (folder / "histories.yaml").write_text(RECIPE)
    return folder


def recipe_of(folder: Path, *changes: str) -> Recipe:
    return load_recipe(folder / "histories.yaml", [f"store={folder}/mlruns", *changes])


def test_a_factor_of_the_user_that_only_earlier_vectors_show_arrives(folder: Path) -> None:
    """Marks alone cannot carry it: rows that look alike to a student get marks that do not."""
    tables = [run(recipe_of(folder, *change), Progress()) for change in (["students.distill.history=null"], [])]
    closed = [table["summary"]["gap_closed"] for table in tables]
    assert closed[1] > max(closed[0], 0) + 0.15


def test_a_student_in_a_fleet_is_the_same_student_alone(folder: Path, tmp_path: Path) -> None:
    recipe = recipe_of(folder, "students.train.epochs=1")
    store = Store(recipe.store)
    impressions = load(recipe.data, store.data)
    knowledge = import_table(folder / "scores.parquet", impressions, store.knowledge)
    members = members_of(recipe, impressions, knowledge.manifest.fingerprint, store.knowledge)
    course = course_of(recipe, impressions, knowledge, store, lambda rows: None)
    assert {one.inputs for one in members} == {"", HISTORY}
    together = train_students(members, course, tmp_path / "all", tmp_path / "stopping")
    for number, student in enumerate(together[:2]):
        (alone,) = train_students([student.member], course, tmp_path / str(number), tmp_path / "stopping")
        np.testing.assert_allclose(alone.logit, student.logit, atol=1e-4)


def test_it_stands_beside_the_vector_of_the_input(taught: Taught, tmp_path: Path) -> None:
    """Each under its own name, and what was there stays as it was."""
    view = taught.impressions.view(["item_id", "text"], "vertical")
    table = histories_of(HistoryChannel(width=2), taught.impressions, taught.knowledge, KnowledgeStore(tmp_path))
    both = Inputs(Inputs(view, table), table, feature=HISTORY)
    assert list(layers(both)) == [NAME, HISTORY] and layers(view) == {}
    assert both.schema("0" if "0" in view.verticals else view.verticals[0]).vectors == {"text": 3, NAME: 2, HISTORY: 2}
    seen = both.take(torch.arange(9)).features.vectors
    assert torch.equal(seen[NAME], seen[HISTORY]) and seen["text"].shape == (9, 3)
    train = torch.from_numpy(taught.impressions.select(TRAIN))
    covered = table.take(train).covered
    own = both.take(train).features.vectors[HISTORY].double()
    assert own[covered].mean(0).abs().max() < 1e-4 and own[covered].std(0, unbiased=False).sub(1).abs().max() < 1e-4
    assert not own[~covered].any() and not covered.all()
