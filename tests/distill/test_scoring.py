"""The teacher labels the log without having seen the labels that it speaks of."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from at_hand import small_log

from distill.data.impressions import TEST, TRAIN, VALID, Impressions, load
from distill.data.settings import DataSettings
from distill.knowledge import Knowledge, KnowledgeStore
from distill.recipe.sections import TrainedTeacher
from distill.scoring import Lesson, _folds, knowledge_of, manifest_of

FRAME = small_log()
TRAIN_SETTINGS = {"epochs": 1, "batch": 64, "learning_rate": 5e-3}


def impressions_of(folder: Path, frame: pl.DataFrame = FRAME) -> Impressions:
    folder.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(folder / "rows.parquet")
    settings = {
        "path": folder / "rows.parquet",
        "time": "time",
        "user": "user_id",
        "split": {"by": "column", "column": "split"},
        "features": {"item_id": "categorical", "user_id": "categorical", "hour": "categorical"},
    }
    return load(DataSettings.model_validate(settings), folder / "data")


MODEL = {"class": "teachers.AttentiveCross", "embedding": 4, "hidden": [16], "representation": 6}


def lesson(
    impressions: Impressions, score: dict, tell=lambda rows: None, model: dict = MODEL, **train: object
) -> Lesson:
    settings = {"model": model, "train": TRAIN_SETTINGS | train, "score": score}
    teacher = TrainedTeacher.model_validate(settings)
    return Lesson(teacher, impressions, impressions.view(None, "all"), 3, tell)


def scores(knowledge: Knowledge) -> np.ndarray:
    return knowledge.take(torch.arange(knowledge.manifest.rows)).prediction.logit[:, 0].numpy()


def flipped(rows: pl.Expr) -> pl.DataFrame:
    return FRAME.with_columns(pl.when(rows).then(1 - pl.col("label")).otherwise(pl.col("label")).alias("label"))


AHEAD = {"kind": "time_ahead"}


@pytest.fixture(scope="module")
def ahead(tmp_path_factory: pytest.TempPathFactory) -> Knowledge:
    folder = tmp_path_factory.mktemp("ahead")
    return knowledge_of(lesson(impressions_of(folder), AHEAD), KnowledgeStore(folder))


def test_no_label_of_its_own_time_or_later_reaches_a_score(tmp_path: Path, ahead: Knowledge) -> None:
    """Flip every label from some moment on: scores up to that moment keep every bit, later ones change."""
    time = FRAME["time"].to_numpy()
    moment = np.sort(time[FRAME["split"].to_numpy() == "train"])[900]
    impressions = impressions_of(tmp_path, flipped(pl.col("time") >= moment))
    other = scores(knowledge_of(lesson(impressions, AHEAD), KnowledgeStore(tmp_path)))
    before, train = time <= moment, impressions.split == TRAIN
    assert np.array_equal(scores(ahead)[train & before], other[train & before])
    assert not np.array_equal(scores(ahead)[train & ~before], other[train & ~before])


def test_no_label_of_validation_or_test_is_learnt_from(tmp_path: Path, ahead: Knowledge) -> None:
    """Flip them all: nothing changes."""
    impressions = impressions_of(tmp_path, flipped(pl.col("split") != "train"))
    other = knowledge_of(lesson(impressions, AHEAD), KnowledgeStore(tmp_path))
    assert np.array_equal(scores(ahead), scores(other))


def test_the_first_block_is_not_covered(ahead: Knowledge) -> None:
    """An untrained teacher has nothing to say. All else is covered, and the cut-off is the last training time."""
    train = FRAME.filter(pl.col("split") == "train")
    covered = ahead.take(torch.arange(len(FRAME))).covered.numpy()
    missing = ~covered
    assert 64 <= missing.sum() < 64 + 8
    assert FRAME["time"].to_numpy()[missing].max() < FRAME["time"].to_numpy()[covered].min()
    assert ahead.manifest.cut_off == train["time"].max()


@pytest.mark.parametrize("stop", [300, 1100, 1500])
def test_a_killed_pass_goes_on_with_the_same_numbers(tmp_path: Path, ahead: Knowledge, stop: int) -> None:
    """Bit for bit, wherever it was cut off."""
    impressions, seen = impressions_of(tmp_path), 0

    def die(rows: int) -> None:
        nonlocal seen
        seen += rows
        if seen >= stop:
            raise KeyboardInterrupt

    store = KnowledgeStore(tmp_path)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        knowledge_of(lesson(impressions, AHEAD, die), store)
    counted: list[int] = []
    again = knowledge_of(lesson(impressions, AHEAD, counted.append), store)
    assert np.array_equal(scores(again), scores(ahead))
    assert again.facts == ahead.facts
    train_rows = (impressions.split == TRAIN).sum()
    assert sum(counted) == train_rows and counted[0] >= stop - 64 - train_rows // 8


def test_a_second_call_finds_everything(ahead: Knowledge, tmp_path: Path) -> None:
    """Nothing is trained again."""
    store = KnowledgeStore(ahead.folder.parent)
    impressions = impressions_of(tmp_path)
    again = knowledge_of(lesson(impressions, AHEAD, lambda rows: pytest.fail("trained")), store)
    assert again.folder == ahead.folder


def test_the_manifest_says_what_the_teacher_took_for_unseen(tmp_path: Path, ahead: Knowledge) -> None:
    """A position that its scores do not know; the other teacher looks at everything."""
    impressions = impressions_of(tmp_path)
    model = {"class": "teachers.MultiDomain", "embedding": 4, "hidden": [8], "position": "hour"}
    teacher = TrainedTeacher.model_validate({"model": model, "train": TRAIN_SETTINGS, "score": AHEAD})
    asked = Lesson(teacher, impressions, impressions.view(None, "all"), 3, lambda rows: None)
    assert manifest_of(asked).unseen == ("hour",)
    assert ahead.manifest.unseen == ()


def test_in_sample_scores_leak_and_the_audit_shows_it(tmp_path: Path, ahead: Knowledge) -> None:
    """A teacher that remembers users and items looks far better on rows that it was trained on; one that scores
    ahead, or rows of other users, does not."""
    impressions = impressions_of(tmp_path)
    model = {"class": "students.DNN", "embedding": 16, "hidden": [32]}
    audits = {"time_ahead": ahead.facts["audit"]["click"]}
    for score in ({"kind": "in_sample"}, {"kind": "cross_fit", "by": "user_id", "folds": 2}):
        hard = lesson(impressions, score, model=model, epochs=8, learning_rate=2e-2)
        audits[score["kind"]] = knowledge_of(hard, KnowledgeStore(tmp_path)).facts["audit"]["click"]
    lead = {kind: audit["test"] - audit["train"] for kind, audit in audits.items()}
    assert lead["in_sample"] > 0.3
    assert lead["cross_fit"] < lead["in_sample"] / 2
    assert lead["time_ahead"] < 0.1


def test_the_audit_judges_each_vertical_by_its_own_rate(ahead: Knowledge) -> None:
    """As the tables do that it stands beside; sums are scikit-learn's."""
    log_loss = pytest.importorskip("sklearn.metrics").log_loss
    said = FRAME.with_columns(score=pl.Series(scores(ahead)).cast(pl.Float64)).filter(split="test")
    above = below = 0.0
    for _, rows in said.group_by("vertical"):
        label, rate = rows["label"].to_numpy(), rows["label"].mean()
        above += log_loss(label, 1 / (1 + np.exp(-rows["score"].to_numpy())), normalize=False)
        below += log_loss(label, np.full(len(label), rate), normalize=False)
    assert said["vertical"].n_unique() > 1
    assert ahead.facts["audit"]["click"]["test"] == pytest.approx(above / below, rel=1e-6)


def test_a_fold_is_scored_by_a_teacher_that_saw_none_of_it(tmp_path: Path) -> None:
    """Flip the labels of one fold: its own scores keep every bit, those of the other folds change."""
    settings = {"kind": "cross_fit", "by": "user_id", "folds": 3}
    impressions = impressions_of(tmp_path / "a")
    rows = impressions.select(TRAIN)
    fold = _folds(impressions.key("user_id")[rows], 3, seed=3)
    assert pl.DataFrame({"user": FRAME["user_id"].to_numpy()[rows], "fold": fold}).unique().height == len(
        np.unique(FRAME["user_id"].to_numpy()[rows])
    )
    chosen = np.zeros(len(FRAME), bool)
    chosen[rows[fold == 1]] = True
    other = impressions_of(tmp_path / "b", flipped(pl.Series(chosen)))
    one = scores(knowledge_of(lesson(impressions, settings), KnowledgeStore(tmp_path)))
    two = scores(knowledge_of(lesson(other, settings), KnowledgeStore(tmp_path)))
    assert np.array_equal(one[rows[fold == 1]], two[rows[fold == 1]])
    assert not np.array_equal(one[rows[fold == 0]], two[rows[fold == 0]])
    later = np.concatenate([impressions.select(VALID), impressions.select(TEST)])
    assert not np.array_equal(one[later], two[later])
