"""Students: trained once, found again, the same wherever they were cut off."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from at_hand import written

from distill.cohort import find
from distill.course import Course
from distill.data.impressions import TEST, Impressions, load
from distill.data.settings import DataSettings, World
from distill.feed import predictions
from distill.knowledge import Knowledge
from distill.member import Member, roster
from distill.recipe.sections import Students
from distill.recorder import Recorder
from distill.training import Student, forget_failed, train_students, wanting

SETTINGS = {
    "model": {"class": "students.DNN", "embedding": 4, "hidden": [8]},
    "train": {"epochs": 3, "batch": 32, "least_steps": 8},
}


@pytest.fixture(scope="module")
def impressions(tmp_path_factory: pytest.TempPathFactory) -> Impressions:
    settings = {
        "world": World(verticals=6, domains=2, users=60, items=40, rows=2400, days=6),
        "time": "time",
        "split": {"by": "column", "column": "split"},
        "features": {
            "item_id": {"kind": "categorical", "hide": 0.2},
            "hour": "categorical",
            "user_activity": "numeric",
        },
    }
    return load(DataSettings.model_validate(settings), tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def knowledge(impressions: Impressions, tmp_path_factory: pytest.TempPathFactory) -> Knowledge:
    return written(impressions, tmp_path_factory.mktemp("knowledge"), 2.0)


def course(impressions: Impressions, knowledge: Knowledge, tell=lambda rows: None, **changes: object) -> Course:
    students = Students.model_validate(SETTINGS | changes)
    return Course(students, impressions, impressions.view(None, "vertical"), knowledge, tell)


def members(course: Course) -> list[Member]:
    return roster(course.students, course.impressions, course.view, course.knowledge.manifest.fingerprint, seed=5)


def trained(course: Course, folder: Path, wanted: list[Member] | None = None) -> list[Student]:
    return train_students(wanted or members(course), course, folder / "cohorts", folder / "stopping")


@pytest.fixture(scope="module")
def whole(
    impressions: Impressions, knowledge: Knowledge, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Student]]:
    folder = tmp_path_factory.mktemp("whole")
    return folder, trained(course(impressions, knowledge), folder)


def equal(one: list[Student], other: list[Student]) -> bool:
    return all(
        a.member == b.member and a.taken == b.taken and np.array_equal(a.logit, b.logit)
        for a, b in zip(one, other, strict=True)
    )


def test_each_student_has_its_twin(impressions: Impressions, knowledge: Knowledge) -> None:
    """Same seed, rows and settings but for the teacher; a control does not know which teacher it has no part in."""
    everyone = members(course(impressions, knowledge, seeds=2))
    assert len(everyone) == 2 * 2 * len(impressions.verticals)
    for student, twin in zip(everyone[::2], everyone[1::2], strict=True):
        assert (student.arm, twin.arm) == ("distilled", "control")
        assert student._replace(arm="control", settings={}, fingerprint="", group="") == twin._replace(
            settings={}, fingerprint="", group=""
        )
        assert twin.settings["logit_weight"] == 0
    other = course(impressions, knowledge, distill={"logit": {"weight": 0.9, "temperature": 2.0}})
    assert [one.fingerprint for one in members(other)][1::2] == [
        one.fingerprint for one in members(course(impressions, knowledge))
    ][1::2]


def test_small_verticals_get_no_student_below_the_bound(impressions: Impressions, knowledge: Knowledge) -> None:
    """`min_rows` counts training rows."""
    rows = sorted({one.rows for one in members(course(impressions, knowledge))})
    kept = members(course(impressions, knowledge, min_rows=rows[-2]))
    assert {one.rows for one in kept} == set(rows[-2:])


def test_a_second_call_trains_nobody(impressions: Impressions, knowledge: Knowledge, whole: tuple) -> None:
    """And gives the same students."""
    folder, students = whole
    again = trained(course(impressions, knowledge, lambda rows: pytest.fail("trained")), folder)
    assert equal(again, students)


@pytest.mark.parametrize(("stop", "every"), [(10, 30.0), (3000, 30.0), (3000, 0.0), (4500, 0.0)])
def test_a_killed_run_goes_on_with_the_same_numbers(
    impressions: Impressions,
    knowledge: Knowledge,
    whole: tuple,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop: int,
    every: float,
) -> None:
    """Bit for bit, from its last checkpoint, and neither draft nor checkpoint is left behind."""
    seen, first = 0, None
    monkeypatch.setattr("distill.cohort.CHECKPOINT", every)

    def die(rows: int) -> None:
        nonlocal seen
        seen += rows
        if seen > stop:
            raise KeyboardInterrupt

    def count(rows: int) -> None:
        nonlocal first
        first = rows if first is None else first

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        trained(course(impressions, knowledge, die), tmp_path)
    assert equal(trained(course(impressions, knowledge, count), tmp_path), whole[1])
    assert (first > 0) == (every == 0.0)
    assert not list(tmp_path.rglob("*.draft")) and not list(tmp_path.rglob("checkpoints"))


def test_a_new_vertical_costs_one_vertical(impressions: Impressions, knowledge: Knowledge, tmp_path: Path) -> None:
    """Those that are there are found, and the newcomer keeps to what its group has settled."""
    lesson = course(impressions, knowledge)
    everyone = members(lesson)
    smallest = min(everyone, key=lambda one: one.rows).vertical
    before = [one for one in everyone if one.vertical != smallest]
    first = trained(lesson, tmp_path, before)
    new = [one.vertical for cohort in wanting(everyone, tmp_path / "cohorts") for one in cohort.members]
    assert set(new) == {smallest}
    both = trained(lesson, tmp_path, everyone)
    assert equal([one for one in both if one.member.vertical != smallest], first)


def test_scores_are_those_of_the_kept_weights(impressions: Impressions, knowledge: Knowledge, whole: tuple) -> None:
    """Loaded into an ordinary module, they score the test rows as was written down; only one pass is kept."""
    from safetensors.torch import load_file

    folder, students = whole
    lesson = course(impressions, knowledge)
    assert not list(folder.rglob("pass-*.safetensors"))
    for cohort in find(folder / "cohorts"):
        weights = load_file(cohort.folder / "students" / "weights.safetensors")
        for place, member in enumerate(cohort.members):
            ranker = lesson.students.model.build(lesson.view.schema(member.vertical)).eval()
            own = {name.partition("/")[2]: one for name, one in weights.items() if name.startswith(f"{place}/")}
            ranker.load_state_dict(own)
            rows = impressions.select(TEST, member.vertical)
            logit = np.concatenate([said.logit.numpy() for _, said in predictions(ranker, lesson.view, rows)])
            assert np.array_equal(logit, next(one.logit for one in students if one.member == member))


def test_the_teacher_pulls_its_student_and_not_the_twin(whole: tuple) -> None:
    """A teacher that always says log-odds 2 raises what its students say."""
    _, students = whole
    for student, twin in zip(students[::2], students[1::2], strict=True):
        assert student.logit.mean() > twin.logit.mean() + 0.05


def test_a_student_that_diverges_is_named_and_its_neighbours_are_not_touched(
    impressions: Impressions, knowledge: Knowledge, whole: tuple, tmp_path: Path
) -> None:
    """Its learning rate is absurd: it fails with a reason, everybody else is bit for bit what they were."""
    lesson = course(impressions, knowledge)
    everyone = members(lesson)
    victim = everyone[4]
    wild = victim._replace(settings=victim.settings | {"learning_rate": 1e38}, fingerprint="wild")
    students = trained(lesson, tmp_path, [wild if one == victim else one for one in everyone])
    assert students[4].logit is None and "finite" in students[4].reason
    others = [place for place in range(len(everyone)) if place != 4]
    assert equal([students[place] for place in others], [whole[1][place] for place in others])


def test_a_fill_shows_no_id_of_another_vertical(impressions: Impressions) -> None:
    """A batch is filled up with rows of nobody: a short table must not be read beyond its end."""
    view = impressions.view(None, "vertical")
    batch = view.take(torch.tensor([[0, -1], [-1, -1]]))
    assert batch.features.categorical[0, 1].eq(0).all() and batch.features.categorical[1].eq(0).all()
    assert batch.weight.tolist() == [[1.0, 0.0], [0.0, 0.0]]
    assert not batch.valid[1].any()


def test_ctrl_c_ends_with_a_checkpoint(
    impressions: Impressions, knowledge: Knowledge, whole: tuple, tmp_path: Path
) -> None:
    """The step is finished and saved; the next run goes on from there. Who listened before listens again."""
    seen, first, before = 0, None, signal.getsignal(signal.SIGINT)

    def interrupt(rows: int) -> None:
        nonlocal seen
        seen += rows
        if seen > 3000:
            os.kill(os.getpid(), signal.SIGINT)

    def count(rows: int) -> None:
        nonlocal first
        first = rows if first is None else first

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        trained(course(impressions, knowledge, interrupt), tmp_path)
    signal.signal(signal.SIGINT, before)  # Lightning has told the process to ignore it, in order to die in peace.
    assert equal(trained(course(impressions, knowledge, count), tmp_path), whole[1])
    assert first == seen


def test_those_that_failed_can_be_trained_again(
    impressions: Impressions, knowledge: Knowledge, whole: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of a cohort, then all of one; everybody else is as before."""
    lesson = course(impressions, knowledge)
    everyone, save = members(lesson), Recorder.save
    victim = everyone[3]

    def hurt(self: Recorder, folder: Path) -> None:
        self.failed = {place: "bad luck" for place, one in enumerate(self.members) if one == victim}
        save(self, folder)

    monkeypatch.setattr(Recorder, "save", hurt)
    assert trained(lesson, tmp_path)[3].reason == "bad luck"
    assert forget_failed(everyone, tmp_path / "cohorts") == 1
    assert trained(lesson, tmp_path)[3].reason == "bad luck"
    monkeypatch.undo()
    assert trained(lesson, tmp_path)[3].reason == "bad luck"
    assert forget_failed(everyone, tmp_path / "cohorts") == 1
    students = trained(lesson, tmp_path)
    assert students[3].losses == pytest.approx(whole[1][3].losses, rel=1e-3)
    assert equal([*students[:3], *students[4:]], [*whole[1][:3], *whole[1][4:]])
    assert forget_failed(everyone, tmp_path / "cohorts") == 0
