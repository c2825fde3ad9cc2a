"""Several teachers from the recipe to the report: each scores once, and students hear them together."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from distill import workers
from distill.auditing import audit
from distill.cohort import find
from distill.data.impressions import TEST, TRAIN, load
from distill.data.settings import World
from distill.data.synthetic import generate
from distill.member import Member, roster
from distill.metrics import cross_entropy
from distill.panel import Panel, panel_of, said_by_all, seats
from distill.pipeline import plan, run
from distill.progress import Progress
from distill.recipe import Recipe
from distill.recipe import load as load_recipe
from distill.recording import started
from distill.report import markdown
from distill.store import Store
from distill.training import Student, train_students
from distill.transfer import course_of, heard_fingerprint

RECIPE = """
name: panel
data:
  world: {verticals: 2, domains: 1, users: 40, items: 30, rows: 1000, days: 5}
  row_id: row_id
  time: time
  user: user_id
  split: {by: column, column: split}
  features: {user_id: categorical, item_id: {kind: categorical, hide: 0.1}, hour: categorical}
teacher:
  model: {class: students.DNN, embedding: 6, hidden: [8, 5]}
  train: {batch: 64, learning_rate: 2.0e-2}
students:
  model: {class: students.DNN, embedding: 3, hidden: [6]}
  features: [item_id, hour]
  train: {epochs: 1, batch: 32, least_steps: 8}
evidence: {resamples: 100}
tracking: {uri: null}
workers: 1
"""
LOGIT = "students.distill.logit"
OTHER = "teachers.other={model: {class: students.DNN, embedding: 4, hidden: [6]}, train: {batch: 64}}"
TWO = ["teacher.seeds=2", OTHER]


class Run:
    """A recipe with some teachers; one that was trained for another recipe is found."""

    def __init__(self, folder: Path, *overrides: str) -> None:
        (folder / "panel.yaml").write_text(RECIPE)
        self.recipe: Recipe = load_recipe(folder / "panel.yaml", [f"store={folder}/mlruns", *overrides])
        self.store, self.learnt = Store(self.recipe.store), 0
        self.impressions = load(self.recipe.data, self.store.data)
        self.tables = said_by_all(self.recipe, self.impressions, self.store.knowledge, self.tell)
        self.knowledge = self.tables["teacher"]

    def tell(self, rows: int) -> None:
        self.learnt += rows

    def panel(self) -> Panel:
        return panel_of(self.tables, self.recipe, self.impressions)

    def members(self) -> list[Member]:
        view = self.impressions.view(self.recipe.students.features, "vertical")
        heard = heard_fingerprint(self.recipe, self.impressions, self.knowledge.manifest.fingerprint)
        return roster(self.recipe.students, self.impressions, view, heard, seed=0)

    def train(self, folder: Path, members: list[Member] | None = None) -> list[Student]:
        course = course_of(self.recipe, self.impressions, self.knowledge, self.store, lambda rows: None)
        return train_students(members or self.members(), course, folder / "cohorts", folder / "stopping")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("panel")


@pytest.fixture(scope="module")
def alone(folder: Path) -> Run:
    return Run(folder)


@pytest.fixture(scope="module")
def several(folder: Path, alone: Run) -> Run:
    return Run(folder, *TWO)


class TestTables:
    def test_another_teacher_costs_its_own_training_alone(self, folder: Path, alone: Run, several: Run) -> None:
        """The first is found, with its very table; so are all of them the next time, in any order."""
        rows = len(several.impressions.select(TRAIN))
        assert (alone.learnt, several.learnt) == (rows, 2 * rows)
        assert several.knowledge.folder == alone.knowledge.folder
        assert [seat.name for seat in seats(several.recipe)] == ["teacher", "teacher/1", "other"]
        assert len({table.folder for table in several.tables.values()}) == 3
        assert Run(folder, OTHER).learnt == Run(folder, "teacher.seeds=2").learnt == 0

    @pytest.mark.slow
    def test_the_mean_of_seeds_is_better_than_each_of_them(self, folder: Path) -> None:
        """On test rows, where they learn fast and err each in its own way."""
        world = "data.world={verticals: 2, domains: 1, users: 60, items: 40, rows: 6000, days: 5}"
        learner = "teacher={model: {class: students.DNN, embedding: 8, hidden: [8, 5]}, features: [user_id, item_id]}"
        pace = "teacher.train={batch: 64, learning_rate: 0.1, schedule: constant}"
        run = Run(folder, world, learner, pace, "teacher.seeds=4")
        entropy = {name: audit(table, run.impressions)["click"]["test"] for name, table in run.tables.items()}
        together = audit(run.panel(), run.impressions)["click"]["test"]
        assert together < min(entropy.values())

    def test_a_panel_says_the_weighted_mean_of_the_rows_that_anybody_scored(self, folder: Path, several: Run) -> None:
        """Seeds share the weight of their teacher; kind, teachers and cut-off are those of all."""
        weighted = Run(folder, *TWO, f"{LOGIT}.combine.weights={{other: 3}}")
        rows = torch.from_numpy(several.impressions.select(TEST))
        said = [table.take(rows).prediction.logit.double() for table in several.tables.values()]
        expected = (0.5 * said[0] + 0.5 * said[1] + 3 * said[2]) / 4
        found = weighted.panel().take(rows)
        assert torch.allclose(found.prediction.logit.double(), expected, atol=1e-5) and found.covered.all()
        spread = torch.stack(said).var(0, correction=0).sqrt()
        equal = Run(folder, "teacher.seeds=2", f"{LOGIT}.certainty=1.0").panel()
        assert torch.allclose(equal.spread(rows).double(), torch.stack(said[:2]).std(0, correction=0), atol=1e-5)
        assert spread.all()
        manifest = weighted.panel().manifest
        assert (manifest.teacher, manifest.kind) == ("3 x students.DNN", "time_ahead")
        assert manifest.cut_off == several.knowledge.manifest.cut_off

    def test_together_they_are_no_purer_than_the_least_pure(self, folder: Path) -> None:
        leaky = OTHER.replace("train:", "score: {kind: in_sample}, train:")
        assert Run(folder, leaky).panel().manifest.kind == "in_sample"


class TestStudents:
    def test_weights_of_one_and_nothing_give_the_students_of_the_one_teacher(
        self, folder: Path, alone: Run, tmp_path: Path
    ) -> None:
        """To the bit, though others are read along, and their spread asked for."""
        silent = Run(folder, OTHER, f"{LOGIT}.combine={{weights: {{other: 0}}}}", f"{LOGIT}.certainty=0.5")
        ours, theirs = silent.train(tmp_path / "silent"), alone.train(tmp_path / "alone")
        assert all(np.array_equal(one.logit, other.logit) for one, other in zip(ours, theirs, strict=True))

    def test_settings_of_several_teachers_may_differ_within_a_stack(self, folder: Path, tmp_path: Path) -> None:
        """Members of three points train as one stack, and are what they are in a stack of their own."""
        points = [
            Run(folder, *TWO, f"{LOGIT}.combine.recent={{rows: 150}}"),
            Run(folder, *TWO, f"{LOGIT}.combine={{weights: {{other: 3}}, recent: {{rows: 150, temperature: 0.1}}}}"),
            Run(folder, *TWO, f"{LOGIT}.combine.recent={{rows: 150}}", f"{LOGIT}.certainty=0.2"),
        ]
        members = [member for point in points for member in point.members() if member.vertical == "vertical_0"]
        members = list({member.fingerprint: member for member in members}.values())
        assert len(members) == 4 and len({member.stack for member in members}) == 1
        together = points[0].train(tmp_path / "together", members)
        assert len(find(tmp_path / "together" / "cohorts")) == 1
        for member, student in zip(members, together, strict=True):
            solo = points[0].train(tmp_path / member.fingerprint, [member])[0]
            assert np.allclose(solo.logit, student.logit, rtol=1e-3, atol=1e-5), member.settings
        logits = [student.logit for student in together]
        assert all(not np.allclose(one, two) for place, one in enumerate(logits) for two in logits[:place])

    def test_a_gate_is_in_no_student(self, folder: Path, several: Run, tmp_path: Path) -> None:
        """It changes what the distilled learn, leaves the controls alone to the bit, and is not among the weights."""
        gated = Run(folder, *TWO, f"{LOGIT}.combine.gate=true")
        ours, theirs = gated.train(tmp_path / "gated"), several.train(tmp_path / "plain")
        same = [(one.member.arm, np.array_equal(one.logit, two.logit)) for one, two in zip(ours, theirs, strict=True)]
        assert set(same) == {("distilled", False), ("control", True)}
        weights = [find(tmp_path / name / "cohorts")[0].weights(0).keys() for name in ("gated", "plain")]
        assert weights[0] == weights[1]

    def test_they_go_with_every_other_channel(self, folder: Path, alone: Run, tmp_path: Path) -> None:
        """Everything at once: who is distilled is another each time, and controls are as they were: to the bit, or up
        to rounding where the distilled see a vector, and train in a stack of their own."""
        panel = [
            *(*TWO, f"{LOGIT}.combine={{weights: {{other: 2}}, recent: {{rows: 150}}, gate: true}}"),
            *(f"{LOGIT}.certainty=0.5", f"{LOGIT}.head=auxiliary", "students.distill.representation.weight=0.3"),
        ]
        later = [
            *(f"{LOGIT}.adapter={{form: mlp}}", "students.distill.ranking.weight=0.5"),
            *("students.distill.schedule={decay: linear, warm_up: 0.1}", "students.distill.sharing.tables=pulled"),
            "students.distill.input={features: [user_id, hour], misses: 0.2}",
        ]
        runs = [alone, Run(folder, *panel), Run(folder, *panel, *later)]
        scores = [run.train(tmp_path / str(place)) for place, run in enumerate(runs)]
        for one, two, three in zip(*scores, strict=True):
            control = one.member.arm == "control"
            assert np.array_equal(one.logit, two.logit) == control
            assert np.allclose(two.logit, three.logit, rtol=1e-4, atol=1e-6) == control
            assert np.isfinite(three.logit).all()
        for cohort in find(tmp_path / "2" / "cohorts"):
            for member, cosines in zip(cohort.members, cohort.result().cosines, strict=True):
                assert np.isfinite(cosines).all() and bool(cosines) == (member.arm == "distilled")

    def test_a_control_knows_nothing_of_how_many_teachers_there_are(self, folder: Path, alone: Run) -> None:
        every = [
            f"{LOGIT}.combine={{weights: {{other: 3}}, recent: {{rows: 150}}, gate: true}}",
            f"{LOGIT}.certainty=1",
        ]
        bare = lambda members: [one._replace(stack="") for one in members if one.arm == "control"]  # noqa: E731
        assert bare(Run(folder, *TWO, *every).members()) == bare(alone.members())

    def test_a_worker_finds_what_all_teachers_said(
        self, folder: Path, several: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("distill.knowledge.KnowledgeStore.writer", lambda *_: pytest.fail("made again"))
        job = workers.Job(several.recipe, several.knowledge.manifest.fingerprint)
        course = workers.course_for(job, lambda rows: None)
        assert course.sources.keys() == several.tables.keys()


def test_a_run_shows_each_teacher_and_all_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the plan, in the audit, in the table, in the sentences, and for MLflow; with every rule at once."""
    rules = [f"{LOGIT}.combine={{weights: {{other: 2}}, recent: {{rows: 150}}, gate: true}}", f"{LOGIT}.certainty=0.5"]
    whole = Run(folder, *TWO, *rules)
    stages = [stage["stage"] for stage in plan(whole.recipe)["stages"]]
    assert stages == ["data", "teacher", "teacher teacher/1", "teacher other", "students"]
    table = run(whole.recipe, Progress())
    told = capsys.readouterr().err
    assert all(f"audit of click: {name} NE" in told for name in ("teacher's", "teacher/1's", "other's"))
    assert "audit of click: the teachers' common NE" in told
    assert [one["name"] for one in table["teachers"]] == ["teacher", "teacher/1", "other"]
    assert [one["weight"] for one in table["teachers"]] == [0.5, 0.5, 2.0]
    assert table["together"]["ne"] == pytest.approx(table["summary"]["ne_teacher"])
    assert table["together"]["spread"] > 0
    for one in table["teachers"]:
        assert one["ne"] == pytest.approx(expected_entropy(whole, one["name"]), rel=1e-6)
    assert "Of the teachers NE is" in markdown(table)
    assert {row["teacher"] for row in table["students"]} == {"3 x students.DNN"}
    assert started(whole.recipe, "key", "").params["teacher"] == "3 x students.DNN"


def expected_entropy(run: Run, name: str) -> float:
    """NE over all test rows, each vertical against its own base rate."""
    cost = base = 0.0
    for vertical in run.impressions.verticals:
        rows = run.impressions.select(TEST, vertical)
        label = run.impressions.label[rows][:, 0].astype(float)
        logit = run.tables[name].take(torch.from_numpy(rows)).prediction.logit.numpy()[:, 0]
        rate = label.mean()
        cost += cross_entropy(logit, label).sum()
        base -= len(rows) * (rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    return cost / base


def test_scores_from_outside_are_heard_beside_a_teacher_of_ours(tmp_path: Path) -> None:
    """By their file, relative to the recipe; another file is another panel."""
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "panel.yaml").write_text(
        RECIPE.replace("students:\n", "teachers: {far: {knowledge: far.parquet}}\nstudents:\n", 1)
    )
    found = []
    for level in (-1.0, -2.0):
        pl.DataFrame({"row_id": range(1000), "logit": [level] * 1000}).write_parquet(folder / "far.parquet")
        recipe = load_recipe(folder / "panel.yaml", [f"store={tmp_path}/mlruns"])
        store = Store(recipe.store)
        impressions = load(recipe.data, store.data)
        tables = said_by_all(recipe, impressions, store.knowledge)
        assert panel_of(tables, recipe, impressions).manifest.kind == "unknown"
        assert tables["far"].take(torch.arange(5)).prediction.logit.flatten().tolist() == [level] * 5
        found.append(heard_fingerprint(recipe, impressions, tables["teacher"].manifest.fingerprint))
    assert found[0] != found[1]


def test_rows_without_a_label_are_scored_and_teach_by_their_marks(tmp_path: Path) -> None:
    """They are in the data where the task is named, the teacher scores them, and students train with them."""
    frame = generate(World(verticals=2, domains=1, users=40, items=30, rows=1000, days=5))
    silent = (pl.col("row_id") % 2 == 0) & (pl.col("split") == "train")
    frame.with_columns(label=pl.when(silent).then(None).otherwise("label")).write_parquet(tmp_path / "rows.parquet")
    data = ["data.world=null", f"data.path={tmp_path}/rows.parquet", "data.label={click: label}"]
    run = Run(tmp_path, *data)
    rows = np.flatnonzero(frame.select(silent).to_series().to_numpy())
    assert not run.impressions.valid[rows].any() and run.impressions.valid[:, 0].sum() == len(frame) - len(rows)
    assert run.knowledge.take(torch.from_numpy(rows[rows > 100])).covered.all()
    students = run.train(tmp_path)
    scores = {one.member.arm: one.logit for one in students if one.member.vertical == "vertical_0"}
    assert not np.array_equal(scores["distilled"], scores["control"])
    assert all(np.isfinite(student.logit).all() for student in students)
