"""Training on a share of the negatives: what comes out speaks of all rows."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from at_hand import written
from hypothesis import given
from hypothesis import strategies as st

from distill.course import Course
from distill.data.impressions import TEST, TRAIN, Impressions, load
from distill.data.settings import DataSettings, World
from distill.data.synthetic import generate
from distill.feed import Feed
from distill.judging import _outcomes, clusters_of
from distill.knowledge import Knowledge, KnowledgeStore
from distill.member import Member, roster
from distill.metrics import calibration
from distill.recipe.sections import Students, TrainedTeacher
from distill.sampling import in_time
from distill.scoring import Lesson, knowledge_of, manifest_of
from distill.training import Student, train_students

RATE = 0.1
SPLIT = {"by": "column", "column": "split"}
WORLD = World(verticals=4, domains=2, users=60, items=40, rows=8000, days=6)
LOGIT = float(np.log(RATE / (1 - RATE)))


def read(folder: Path, frame: pl.DataFrame, features: dict, **changes: object) -> Impressions:
    folder.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(folder / "rows.parquet")
    settings = {"path": folder / "rows.parquet", "split": SPLIT, "time": "time", "features": features}
    return load(DataSettings.model_validate(settings | changes), folder / "data")


def constant(folder: Path, **negatives: float) -> Impressions:
    """Two verticals whose every feature is the same, and whose base rate is exactly known."""
    label = np.tile(np.arange(10) < 10 * RATE, 400).astype(int)
    frame = pl.DataFrame(
        {
            "label": label,
            "vertical": np.repeat(["a", "b"], 2000),
            "split": np.tile(np.repeat(["train", "valid", "test"], [1600, 200, 200]), 2),
            "time": np.arange(4000) // 7,
            "thing": np.zeros(4000, dtype=int),
        }
    )
    return read(folder, frame, {"thing": "categorical"}, negatives=negatives)


def course(impressions: Impressions, knowledge: Knowledge, **changes: object) -> Course:
    model = {"class": "students.DNN", "embedding": 4, "hidden": [8]}
    train = {"epochs": 4, "batch": 32, "least_steps": 8, "learning_rate": 2e-2}
    students = Students.model_validate({"model": model, "train": train} | changes)
    return Course(students, impressions, impressions.view(None, "vertical"), knowledge, lambda rows: None)


def members(course: Course) -> list[Member]:
    return roster(course.students, course.impressions, course.view, course.knowledge.manifest.fingerprint, seed=5)


def trained(course: Course, folder: Path, wanted: list[Member]) -> list[Student]:
    return train_students(wanted, course, folder / "cohorts", folder / "stopping")


def ratio(impressions: Impressions, rows: np.ndarray, logit: np.ndarray) -> float:
    return float(calibration(logit[:, 0], impressions.label[rows, 0], impressions.worth(rows)).ratio)


@pytest.mark.parametrize(
    ("share", "weight"),
    [(0.2, 0.5), (0.2, 1.0), *(pytest.param(1.0, weight, marks=pytest.mark.slow) for weight in (0.5, 1.0))],
)
def test_what_a_constant_learns_is_the_base_rate_of_all_rows(tmp_path: Path, share: float, weight: float) -> None:
    """Both arms, whose teacher is right, end at the log-odds of the base rate, whatever they were trained on; with a
    weight of 1 the teacher is all that a student hears."""
    impressions = constant(tmp_path, students=share)
    ours = course(impressions, written(impressions, tmp_path, LOGIT), distill={"logit": {"weight": weight}})
    wanted = members(ours)
    assert all(one.rows < 650 for one in wanted) == (share < 1)
    for student in trained(ours, tmp_path, wanted):
        assert student.logit.mean() == pytest.approx(LOGIT, abs=0.12), student.member.name


def test_a_share_of_the_files_is_made_up_for(tmp_path: Path) -> None:
    """Files that hold a fifth of the negatives: the student says the rate of all traffic, and is judged by it."""
    whole = 0.1 / (0.1 + 0.9 / 0.2)
    impressions = constant(tmp_path, source=0.2, students=0.5)
    student = trained(ours := course(impressions, written(impressions, tmp_path, 0.0)), tmp_path, members(ours))[1]
    assert student.member.arm == "control"
    rows = impressions.select(TEST, "a")
    assert 1 / (1 + np.exp(-student.logit.mean())) == pytest.approx(whole, rel=0.12)
    assert ratio(impressions, rows, student.logit) == pytest.approx(1, abs=0.12)
    outcomes = _outcomes(impressions, ours.knowledge, "a", clusters_of(impressions), {})
    assert np.average(outcomes.label[:, 0], weights=outcomes.weight) == pytest.approx(whole)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Impressions:
    features = {"item_id": "categorical", "hour": "categorical", "user_activity": "numeric"}
    negatives = {"teacher": 0.2, "students": 0.5}
    return read(tmp_path_factory.mktemp("world"), generate(WORLD), features, negatives=negatives)


def lesson(impressions: Impressions, kind: str) -> Lesson:
    model = {"class": "teachers.AttentiveCross", "embedding": 4, "hidden": [16], "representation": 6}
    score = {"kind": kind} | ({"by": "hour", "folds": 2} if kind == "cross_fit" else {})
    settings = {"model": model, "train": {"epochs": 1, "batch": 32, "learning_rate": 1e-2}, "score": score}
    view = impressions.view(None, "all")
    return Lesson(TrainedTeacher.model_validate(settings), impressions, view, 3, lambda rows: None)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeStore:
    """Of the teachers of the world: each is trained once."""
    return KnowledgeStore(tmp_path_factory.mktemp("teachers"))


@pytest.mark.parametrize("kind", ["time_ahead", "cross_fit", "in_sample"])
def test_a_teacher_of_few_negatives_speaks_of_all_rows(world: Impressions, store: KnowledgeStore, kind: str) -> None:
    """Calibrated on training and test rows alike, although it learnt from a fifth; rows it did not learn from are
    scored too."""
    ours = lesson(world, kind)
    knowledge = knowledge_of(ours, store)
    assert knowledge.manifest.negatives == 0.2
    assert len(ours.learnt_rows) < len(ours.train_rows) / 2
    prediction, covered = knowledge.take(torch.arange(world.rows))
    assert covered.float().mean() > 0.95
    for split in (TRAIN, TEST):
        rows = world.select(split)
        rows = rows[covered.numpy()[rows]]
        assert ratio(world, rows, prediction.logit.numpy()[rows]) == pytest.approx(1, abs=0.15)


def test_students_of_other_shares_than_their_teacher_are_calibrated(
    world: Impressions, store: KnowledgeStore, tmp_path: Path
) -> None:
    """Teacher .2, students .5, in both arms; and each is the student that it would be alone."""
    knowledge = knowledge_of(lesson(world, "time_ahead"), store)
    ours = course(world, knowledge, distill={"logit": {"weight": 0.7}})
    everyone = members(ours)
    together = trained(ours, tmp_path / "together", everyone)
    for arm in ("distilled", "control"):
        mine = [student for student in together if student.member.arm == arm]
        rows = np.concatenate([world.select(TEST, student.member.vertical) for student in mine])
        assert ratio(world, rows, np.concatenate([one.logit for one in mine])) == pytest.approx(1, abs=0.12), arm
    (alone,) = trained(ours, tmp_path / "alone", everyone[2:3])
    np.testing.assert_allclose(alone.logit, together[2].logit, atol=1e-4)


def test_a_student_hears_its_teacher_at_its_own_rate(world: Impressions, tmp_path: Path) -> None:
    """The feed shifts what the teacher says and touches nothing else."""
    table, rows = written(world, tmp_path, -1.0), torch.arange(8)[None]
    plain, shifted = (next(iter(Feed(world.view(None, "all"), [rows], [0], {"t": table}, 0, by))) for by in (0.0, 0.7))
    assert (plain.knowledge["t"].prediction.logit == -1).all()
    torch.testing.assert_close(shifted.knowledge["t"].prediction.logit, torch.full((1, 8, 1), -0.3))
    assert world.heard == pytest.approx(-np.log(0.5)), "half of the negatives: the log-odds of what is left are higher"


def test_all_of_the_negatives_change_nothing(world: Impressions, tmp_path: Path) -> None:
    """Spelled out or not: same rows, same names of teacher and students."""
    plain, spelled = (constant(tmp_path / name, **shares) for name, shares in (("a", {}), ("b", {"teacher": 1.0})))
    assert manifest_of(lesson(plain, "time_ahead")) == manifest_of(lesson(spelled, "time_ahead"))
    assert lesson(plain, "time_ahead").learnt_rows.tolist() == plain.select(TRAIN).tolist()
    thinned = [constant(tmp_path / str(number), **{role: 0.5}) for number, role in enumerate(("teacher", "students"))]
    names = [
        [one.fingerprint for one in members(course(each, written(each, tmp_path, 0.0)))] for each in (plain, *thinned)
    ]
    assert names[0] == names[1], "students know the teacher's share by its knowledge"
    assert not set(names[0]) & set(names[2])
    others = {manifest_of(lesson(each, "time_ahead")).fingerprint for each in (plain, *thinned)}
    assert len(others) == 2


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(1, 9), st.data())
def test_blocks_hold_all_rows_and_steps_those_that_are_learnt_from(times: list[int], batch: int, data) -> None:
    """In the order of time, ties together; with all rows learnt from, the blocks are those that there always were."""
    time, rows = np.array(times), np.arange(len(times))
    learnt = np.array(data.draw(st.lists(st.sampled_from(rows.tolist()), min_size=1, unique=True)))
    blocks = in_time(rows, time, batch, 0, learnt)
    assert sorted(row for block in blocks for row in block.rows) == rows.tolist()
    assert sorted(row for block in blocks for step in block.batches for row in step) == sorted(learnt.tolist())
    assert all(len(step) for block in blocks for step in block.batches)
    for one, other in pairwise(blocks):
        assert time[one.rows].max() < time[other.rows].min()
        assert sum(map(len, one.batches)) >= batch or other is blocks[-1]
    whole, same = in_time(rows, time, batch, 0), in_time(rows, time, batch, 0, rows)
    assert str(whole) == str(same)
