"""Several processes give what one gives, whoever dies."""

import multiprocessing
import pickle
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from at_hand import same

from distill import workers
from distill.cohort import Cohort, find
from distill.course import Course
from distill.data.impressions import Impressions, load
from distill.errors import TrainingError
from distill.knowledge import Knowledge, import_table
from distill.member import Member, roster
from distill.recipe import Recipe
from distill.recipe import load as load_recipe
from distill.store import Store
from distill.training import Student, train_in_turn, train_students
from distill.workers import Job, train_apart, workers_for

RECIPE = """
name: apart
data:
  world: {verticals: 6, domains: 2, users: 60, items: 40, rows: 2400, days: 6}
  row_id: row_id
  time: time
  split: {by: column, column: split}
  features: {item_id: categorical, hour: categorical}
teacher: {knowledge: scores.parquet}
students:
  model: {class: students.DNN, embedding: 4, hidden: [8]}
  train: {epochs: 2, batch: 32, least_steps: 8}
"""


RULES = ("adam", "rowwise_adam", "rowwise_adagrad")


class Run:
    """One recipe, and its members trained in whatever way below a folder of their own."""

    def __init__(self, folder: Path, tables: str = "auto") -> None:
        (folder / "apart.yaml").write_text(RECIPE)
        pl.DataFrame({"row_id": range(2400), "logit": [-1.0] * 2400}).write_parquet(folder / "scores.parquet")
        overrides = [f"store={folder}/mlruns", f"students.train.tables={tables}"]
        self.recipe: Recipe = load_recipe(folder / "apart.yaml", overrides)
        self.store = Store(self.recipe.store)
        self.impressions: Impressions = load(self.recipe.data, self.store.data)
        self.knowledge: Knowledge = import_table(folder / "scores.parquet", self.impressions, self.store.knowledge)
        self.job = Job(self.recipe, self.knowledge.manifest.fingerprint)

    def train(self, folder: Path, train) -> list[Student]:
        view = self.impressions.view(None, "vertical")
        students = self.recipe.students
        members = roster(students, self.impressions, view, self.job.knowledge, seed=0)
        course = Course(students, self.impressions, view, self.knowledge, lambda rows: None)
        self.stack = members[0].stack
        return train_students(members, course, folder / "cohorts", folder / "stopping", train)

    def apart(self, count: int):
        """In processes that get their job as one that is started anew does."""
        job = pickle.loads(pickle.dumps(self.job))
        return lambda cohorts, courses: train_apart(
            cohorts, dict.fromkeys(courses, job), count, courses[self.stack].tell
        )


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("apart"))


@pytest.fixture(scope="module")
def alone(job: Run, tmp_path_factory: pytest.TempPathFactory) -> list[Student]:
    return job.train(tmp_path_factory.mktemp("alone"), train_in_turn)


@pytest.mark.parametrize(
    ("tables", "begun"),
    [("rowwise_adam", "forkserver"), *(pytest.param(rule, "spawn", marks=pytest.mark.slow) for rule in RULES)],
)
def test_two_workers_one_of_which_is_killed_give_what_one_process_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tables: str, begun: str
) -> None:
    """To the bit, with tables that are stepped as a whole or by rows. A worker that dies is replaced, and nothing is
    lost. Those of the quick test come from a process that has imported everything once; those of a run import it."""
    job, context, started = Run(tmp_path, tables), multiprocessing.get_context(begun), []
    context.set_forkserver_preload(["distill.workers"])
    alone = job.train(tmp_path / "alone", train_in_turn)
    assert {one.member.tables for one in alone} == {tables}

    def start(self: workers._Supervisor, cohort: Cohort) -> None:
        begin(self, cohort)
        started.append(cohort)
        if len(started) == 1:
            list(self.busy.values())[-1][0].kill()

    begin = workers._Supervisor._start
    monkeypatch.setattr(workers.multiprocessing, "get_context", lambda method: context)
    monkeypatch.setattr(workers._Supervisor, "_start", start)
    assert same(job.train(tmp_path, job.apart(2)), alone)
    assert len(find(tmp_path / "cohorts")) > 1 and len(started) == 3


def test_workers_killed_before_they_hear_what_to_do_are_replaced(
    job: Run, alone: list[Student], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One before it has read what it is to be, so that to start it breaks; one before its cohort is sent to it."""
    real = multiprocessing.get_context("forkserver")
    real.set_forkserver_preload(["distill.workers"])
    begun: list[object] = []

    class Killed:
        exitcode = -9

        def start(self) -> None:
            if len(begun) == 1:
                raise BrokenPipeError

        def join(self) -> None:
            """It is gone: its end of the connection is closed as soon as the supervisor closes its own copy."""

    def process(**said: object) -> object:
        begun.append(Killed() if len(begun) < 2 else real.Process(**said))
        return begun[-1]

    context = SimpleNamespace(Pipe=real.Pipe, Process=process)
    monkeypatch.setattr(workers.multiprocessing, "get_context", lambda method: context)
    assert same(job.train(tmp_path, job.apart(1)), alone)
    assert len(begun) == 3


def test_a_worker_that_dies_again_and_again_ends_the_run(
    job: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its cohort is halved down to one pair of twins, and then it is named."""

    class Dying:
        exitcode = -9

        def join(self) -> None:
            pass

        kill = join

    def start(self: workers._Supervisor, cohort: Cohort) -> None:
        sizes.append(len(cohort.members))
        ours, theirs = workers.multiprocessing.Pipe()
        theirs.close()
        self.busy[ours] = (Dying(), cohort)

    sizes: list[int] = []
    monkeypatch.setattr(workers._Supervisor, "_start", start)
    with pytest.raises(TrainingError, match=r"v.*/control/0, .*exit code -9.*fewer workers"):
        job.train(tmp_path, job.apart(1))
    assert sizes[0] > 2 and sizes[-1] == 2 and sizes == sorted(sizes, reverse=True)


def test_a_cohort_that_exceeds_the_memory_is_trained_in_halves(
    job: Run, alone: list[Student], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as needed; other stacks agree to rounding."""
    train = Cohort.train

    def short_of_memory(self: Cohort, course: Course) -> None:
        if len(self.members) > 4:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")
        train(self, course)

    monkeypatch.setattr(Cohort, "train", short_of_memory)
    students = job.train(tmp_path, train_in_turn)
    assert {len(cohort.members) for cohort in find(tmp_path / "cohorts")} <= {2, 4}
    for student, other in zip(students, alone, strict=True):
        assert student.losses == pytest.approx(other.losses, rel=1e-3)


def test_small_jobs_are_done_by_one_process(job: Run) -> None:
    """Unless the recipe says otherwise; and there is never a worker without a cohort."""
    member = Member("v0", None, "control", 0, 0, 32, 1, {}, "adam", "", "fingerprint", "group", "stack")
    cohorts = [Cohort(Path(), [member])] * 3
    jobs = [{"stack": job.job._replace(recipe=job.recipe.model_copy(update={"workers": n}))} for n in (None, 2, 9)]
    assert [workers_for(one, cohorts) for one in jobs] == [1, 2, 3]
