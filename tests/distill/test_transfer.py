"""Channels together: what they change in a student, that its twin knows nothing of them, and that they find again."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from at_hand import same
from safetensors.torch import load_file

from distill import workers
from distill.cohort import find
from distill.course import Course
from distill.data.impressions import Impressions, load
from distill.errors import KnowledgeMismatch
from distill.files import read_json, write_json
from distill.fleet import seeded
from distill.inputs import NAME
from distill.knowledge import Knowledge, import_table
from distill.member import Member, roster
from distill.pipeline import run
from distill.progress import Progress
from distill.recipe import Recipe
from distill.recipe import load as load_recipe
from distill.scoring import knowledge_of
from distill.store import Store
from distill.training import Student, train_students
from distill.transfer import course_of, lesson_of

RECIPE = """
name: channels
data:
  world: {verticals: 3, domains: 1, users: 40, items: 30, rows: 1600, days: 5}
  row_id: row_id
  time: time
  user: user_id
  split: {by: column, column: split}
  features: {user_id: categorical, item_id: {kind: categorical, hide: 0.1}, hour: categorical}
teacher:
  model: {class: students.DNN, embedding: 6, hidden: [8, 5]}
  train: {batch: 64, learning_rate: 5.0e-3}
students:
  model: {class: students.DNN, embedding: 3, hidden: [6]}
  features: [item_id, hour]
  train: {epochs: 2, batch: 32, least_steps: 8}
evidence: {resamples: 100}
tracking: {uri: null}
workers: 1
"""
BESIDE = [
    "students.distill.logit={weight: 1.0, head: auxiliary, adapter: {form: mlp}}",
    "students.distill.representation={weight: 0.3, loss: cosine}",
    "students.distill.ranking={weight: 0.2}",
    "students.distill.schedule={decay: cosine, warm_up: 0.1}",
    "students.distill.sharing={tables: pulled, rate: 0.5}",
]
ALL = [*BESIDE, "students.distill.input={features: [user_id]}"]


class Run:
    """A recipe with some channels, its teacher trained once for all of them."""

    def __init__(self, folder: Path, *channels: str) -> None:
        (folder / "channels.yaml").write_text(RECIPE)
        self.recipe: Recipe = load_recipe(folder / "channels.yaml", [f"store={folder}/mlruns", *channels])
        self.store = Store(self.recipe.store)
        self.impressions: Impressions = load(self.recipe.data, self.store.data)
        self.knowledge: Knowledge = knowledge_of(lesson_of(self.recipe, self.impressions), self.store.knowledge)

    def course(self, tell=lambda rows: None) -> Course:
        return course_of(self.recipe, self.impressions, self.knowledge, self.store, tell)

    def members(self) -> list[Member]:
        view = self.impressions.view(self.recipe.students.features, "vertical")
        return roster(self.recipe.students, self.impressions, view, self.knowledge.manifest.fingerprint, seed=0)

    def train(self, folder: Path, course: Course | None = None) -> list[Student]:
        return train_students(self.members(), course or self.course(), folder / "cohorts", folder / "stopping")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("channels")


@pytest.fixture(scope="module")
def beside(folder: Path) -> Run:
    return Run(folder, *BESIDE)


@pytest.fixture(scope="module")
def every(folder: Path) -> Run:
    return Run(folder, *ALL)


@pytest.fixture(scope="module")
def whole(every: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Student]]:
    trained = tmp_path_factory.mktemp("whole")
    return trained, every.train(trained)


def weights(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    """Fingerprint of each member -> its weights."""
    found = {}
    for cohort in find(folder / "cohorts"):
        kept = load_file(cohort.folder / "students" / "weights.safetensors")
        for place, member in enumerate(cohort.members):
            own = {name.partition("/")[2]: one for name, one in kept.items() if name.startswith(f"{place}/")}
            found[member.fingerprint] = own
    return found


def test_a_control_knows_nothing_of_any_channel(folder: Path, beside: Run, every: Run, tmp_path: Path) -> None:
    """The member itself, and in a stack of the same kind its weights and log-odds to the bit."""
    plain = Run(folder)
    controls = [
        [one._replace(stack="") for one in each.members() if one.arm == "control"] for each in (plain, beside, every)
    ]
    assert controls[0] == controls[1] == controls[2]
    assert {one.inputs for one in controls[0]} == {""}
    assert all("table_rate" not in one.settings and "representation_weight" not in one.settings for one in controls[0])
    trained = [each.train(tmp_path / name) for each, name in ((plain, "plain"), (beside, "beside"))]
    kept = [weights(tmp_path / name) for name in ("plain", "beside")]
    for ours, theirs in zip(*trained, strict=True):
        alike = ours.member.arm == "control"
        assert np.array_equal(ours.logit, theirs.logit) == alike
        assert (ours.losses == theirs.losses) == alike
        if alike:
            one, other = (state[ours.member.fingerprint] for state in kept)
            assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_twins_begin_alike_but_for_what_is_shared(beside: Run) -> None:
    """The distilled one has the teacher's vectors in its table, and every other weight is its twin's."""
    course, members = beside.course(), beside.members()
    student, twin = members[:2]
    ours, theirs = seeded(lambda place: course.fresh(members[place]), [one.random_seed for one in (student, twin)])
    differ = {name for name, one in ours.state_dict().items() if not torch.equal(one, theirs.state_dict()[name])}
    assert (student.arm, twin.arm) == ("distilled", "control")
    assert differ == {"embedding.weight"}
    [plain] = seeded(
        lambda _: beside.recipe.students.model.build(course.view.schema(twin.vertical)), [twin.random_seed]
    )
    assert all(torch.equal(one, theirs.state_dict()[name]) for name, one in plain.state_dict().items())


def test_frozen_tables_end_where_they_began(folder: Path, tmp_path: Path) -> None:
    """To the bit, with decay and all; the rest of the student learns, and so does the table of its twin."""
    frozen = Run(folder, "students.distill.sharing={rate: 0}", "students.train.weight_decay=0.1")
    course = frozen.course()
    frozen.train(tmp_path, course)
    kept = weights(tmp_path)
    for member in frozen.members():
        [begun] = seeded(lambda _, member=member: course.fresh(member), [member.random_seed])
        ended = kept[member.fingerprint]
        assert torch.equal(begun.embedding.weight, ended["embedding.weight"]) == (member.arm == "distilled")
        assert not torch.equal(begun.head.weight, ended["head.weight"])


def test_only_the_distilled_see_the_teachers_vector(every: Run, whole: tuple[Path, list[Student]]) -> None:
    """In stacks of their own, with a wider first layer; what is kept scores the rows as was written down."""
    course = every.course()
    for member in every.members():
        vectors = course.seen(member).schema(member.vertical).vectors
        assert vectors == ({NAME: 5} if member.arm == "distilled" else {})
    assert all(len({one.inputs for one in cohort.members}) == 1 for cohort in find(whole[0] / "cohorts"))
    kept = weights(whole[0])
    student, twin = whole[1][:2]
    widths = [kept[one.member.fingerprint]["mlp.layers.0.weight"].shape for one in (student, twin)]
    assert sorted(widths[0])[-1] - sorted(widths[1])[-1] == 5


def test_a_killed_run_with_every_channel_goes_on_with_the_same_numbers(
    every: Run, whole: tuple[Path, list[Student]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit, from a checkpoint in the middle of a pass."""
    monkeypatch.setattr("distill.cohort.CHECKPOINT", 0.0)
    seen = 0

    def die(rows: int) -> None:
        nonlocal seen
        seen += rows
        if seen > 1500:
            raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        every.train(tmp_path, every.course(die))
    assert list(tmp_path.rglob("checkpoints"))
    assert same(every.train(tmp_path), whole[1])


def test_gradients_are_compared_after_each_pass_of_who_is_taught(whole: tuple[Path, list[Student]]) -> None:
    for student in whole[1]:
        assert len(student.cosines) == (2 if student.member.arm == "distilled" else 0)
        assert all(-1 <= cosine <= 1 for cosine in student.cosines)


def test_a_worker_finds_what_the_run_has_made(
    every: Run, whole: tuple[Path, list[Student]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vectors are not made again, and its students are those of the run itself."""
    monkeypatch.setattr("distill.knowledge.KnowledgeStore.writer", lambda *_: pytest.fail("made again"))
    job = workers.Job(every.recipe, every.knowledge.manifest.fingerprint)
    course = workers.course_for(job, lambda rows: None)
    assert course.inputs.fingerprint == every.course().inputs.fingerprint
    assert same(every.train(tmp_path, course), whole[1])


def test_a_cohort_of_an_older_format_is_passed_over(whole: tuple[Path, list[Student]], tmp_path: Path) -> None:
    """Whose members lacked a field: it is neither read nor in the way."""
    cohorts = find(whole[0] / "cohorts")
    members = read_json(cohorts[0].folder / "trained" / "members.json")
    for name, facts in (
        ("old", [{k: v for k, v in one.items() if k != "inputs"} for one in members]),
        ("new", members),
    ):
        (tmp_path / name / "trained").mkdir(parents=True)
        write_json(tmp_path / name / "trained" / "members.json", facts)
    assert [cohort.members for cohort in find(tmp_path)] == [cohorts[0].members]


def test_a_table_without_representations_cannot_be_matched(folder: Path, tmp_path: Path) -> None:
    """Which is known only when it is read; it is said before anybody is trained."""
    pl.DataFrame({"row_id": range(1600), "logit": [-1.0] * 1600}).write_parquet(tmp_path / "scores.parquet")
    data, _, rest = RECIPE.partition("teacher:")
    students = rest.partition("students:")[2]
    (tmp_path / "outside.yaml").write_text(f"{data}teacher: {{knowledge: scores.parquet}}\nstudents:{students}")
    matching = "students.distill.representation.weight=0.5"
    recipe = load_recipe(tmp_path / "outside.yaml", [f"store={folder}/mlruns", matching])
    store = Store(recipe.store)
    impressions = load(recipe.data, store.data)
    knowledge = import_table(tmp_path / "scores.parquet", impressions, store.knowledge)
    with pytest.raises(KnowledgeMismatch, match=r"students\.distill\.representation: there is nothing to learn from"):
        course_of(recipe, impressions, knowledge, store, lambda rows: None)


def test_who_falls_back_is_reported_as_it_is_served(folder: Path) -> None:
    """With its control's numbers, under its own name, and a mark."""
    plain = Run(folder, "students.distill.fallback={level: 1.0e-12}", "students.distill.logit.weight=0.9")
    table = run(plain.recipe, Progress())
    fallen = [row for row in table["students"] if row["settings"].get("fell_back")]
    assert fallen and all(row["ne"] == row["ne_control"] and row["arm"] == "distilled" for row in fallen)


PLANTED = [
    "data.world={verticals: 3, domains: 1, users: 60, items: 40, rows: 9000, days: 6, size_exponent: 0.3}",
    "teacher.features=[user_id, item_id]",
    "teacher.train.learning_rate=1.0e-2",
    "students.train={epochs: 3, batch: 64, learning_rate: 5.0e-3}",
]


def test_a_factor_of_the_user_that_only_the_teacher_sees_arrives_by_the_input(tmp_path: Path) -> None:
    """Marks alone cannot carry it: rows that look alike to a student get marks that do not."""
    (tmp_path / "channels.yaml").write_text(RECIPE)
    closed = []
    for channel in ([], ["students.distill.input={features: [user_id]}"]):
        recipe = load_recipe(tmp_path / "channels.yaml", [f"store={tmp_path}/mlruns", *PLANTED, *channel])
        closed.append(run(recipe, Progress())["summary"]["gap_closed"])
    assert closed[1] > max(closed[0], 0) + 0.3
