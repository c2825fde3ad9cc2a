"""Workers: cohorts trained by several processes, one a core, each restarted when it dies."""

import multiprocessing
import os
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import torch

from distill.cohort import Cohort
from distill.course import Course
from distill.data.impressions import load
from distill.errors import DistillError, Fault, TrainingError
from distill.learner import accelerator
from distill.recipe import Recipe
from distill.recipe.sections import Students
from distill.store import Store
from distill.training import Courses, halves, train_in_turn, train_whole
from distill.transfer import course_of

WORTHWHILE = 4_000_000
"""Rows, times passes, from which a second process is worth the seconds that it takes to start."""

ATTEMPTS = 3
"""Times a cohort may kill its worker before it is halved; one student alone is then given up."""


GRACE = 10.0
"""Seconds that a process has to save a checkpoint when it is told to end."""


class Job(NamedTuple):
    """What a worker needs in order to train any cohort of a run: everything else is in the store.

    Attributes:
        recipe: what is run.
        knowledge: fingerprint of the teacher's table.
    """

    recipe: Recipe
    knowledge: str


Jobs = Mapping[str, Job]
"""`Member.stack` -> what a worker needs for such members."""


def workers_for(jobs: Jobs, cohorts: Sequence[Cohort]) -> int:
    """Processes that are worth their start: one a core at most, unless the recipe says how many; one an accelerator."""
    recipe = next(iter(jobs.values())).recipe
    if accelerator(recipe.trainer.device) != "cpu":
        return 1
    rows = sum(rows_seen(cohort, jobs[cohort.stack].recipe.students) for cohort in cohorts)
    if recipe.workers is None and rows < WORTHWHILE:
        return 1
    return min(recipe.workers or len(os.sched_getaffinity(0)), len(cohorts))


def train_here(jobs: Jobs, cohorts: Sequence[Cohort], courses: Courses) -> None:
    """Trains cohorts on this machine: in this process, or in several where that is worth their start."""
    workers = workers_for(jobs, cohorts)
    if workers > 1:
        train_apart(cohorts, jobs, workers, next(iter(courses.values())).tell)
    else:
        train_in_turn(cohorts, courses)


def longest_last(cohorts: Sequence[Cohort]) -> list[Cohort]:
    """The cohorts by the steps of a pass, so that the last of the list is to be trained first."""
    return sorted(cohorts, key=lambda cohort: cohort.members[0].rows / cohort.members[0].batch)


def rows_seen(cohort: Cohort, students: Students) -> int:
    """Rows that the training of a cohort goes through, each as often as it does."""
    return sum(member.rows for member in cohort.members) * students.train.epochs


def train_apart(cohorts: Sequence[Cohort], jobs: Jobs, count: int, tell: Callable[[int], None]) -> None:
    """Trains cohorts in `count` processes, first the one with most steps: it takes longest, however few its members.

    A process that dies is started again, and its cohort goes on from its last checkpoint. Results are those of one
    process, to the bit, unless a cohort had to be halved.

    Args:
        cohorts: what is to be trained.
        jobs: with what.
        count: number of processes.
        tell: called with the rows of each step.

    Raises:
        DistillError: what a worker found wrong with the data or the store.
        TrainingError: a student killed its process again and again.
    """
    supervisor = _Supervisor(jobs, longest_last(cohorts), tell)
    try:
        supervisor.run(count)
    finally:
        supervisor.stop()


class _Supervisor:
    """Hands out cohorts, listens, and replaces the dead."""

    def __init__(self, jobs: Jobs, waiting: list[Cohort], tell: Callable[[int], None]) -> None:
        self.jobs, self.waiting, self.tell = jobs, waiting, tell
        self.deaths: Counter[Path] = Counter()
        self.busy: dict[Connection, tuple[BaseProcess, Cohort]] = {}

    def run(self, count: int) -> None:
        for _ in range(min(count, len(self.waiting))):
            self._start(self.waiting.pop())
        while self.busy:
            for connection in wait(list(self.busy)):
                self._hear(connection)

    def stop(self) -> None:
        """Lets every process save what it has, and go."""
        for process, _ in self.busy.values():
            process.terminate()
        for process, _ in self.busy.values():
            process.join(GRACE)
            process.kill()
            process.join()

    def _start(self, cohort: Cohort) -> None:
        # Not forked: a copy of a process with threads may wait for ever for a lock that one of them held.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, self.jobs, os.getpid()), daemon=True)
        try:
            process.start()
        except BrokenPipeError:  # It was killed before it had read what it is to be.
            ours.close()
            self._again(cohort, None)
            return
        finally:
            theirs.close()
        self.busy[ours] = (process, cohort)
        _send(ours, cohort)

    def _hear(self, connection: Connection) -> None:
        process, cohort = self.busy[connection]
        try:
            word, content = connection.recv()
        except (EOFError, ConnectionResetError):
            self._bury(connection, process, cohort)
            return
        if word == "rows":
            self.tell(content)
        elif word == "failed":
            raise content
        elif self.waiting:
            self.busy[connection] = (process, self.waiting.pop())
            _send(connection, self.busy[connection][1])
        else:
            self.busy.pop(connection)
            connection.close()
            process.join()

    def _bury(self, connection: Connection, process: BaseProcess, cohort: Cohort) -> None:
        self.busy.pop(connection)
        process.join()
        self._again(cohort, process.exitcode)

    def _again(self, cohort: Cohort, code: int | None) -> None:
        """Somebody else takes what a dead process had; or both halves of it, or nobody, where it killed too many."""
        self.deaths[cohort.folder] += 1
        if self.deaths[cohort.folder] < ATTEMPTS:
            self.waiting.append(cohort)
        elif len(cohort.members) > 2:  # It may have been too large for the memory; the kernel says no more than that.
            self.waiting.extend(halves(cohort))
        else:
            names = ", ".join(member.name for member in cohort.members)
            what = f"its process died {ATTEMPTS} times (exit code {code})."
            raise TrainingError(Fault(names, what, "Perhaps memory is short: take fewer workers."))
        self._start(self.waiting.pop())


def _send(connection: Connection, cohort: Cohort) -> None:
    """Whoever is dead by now is heard to be so, as its end of the connection is closed."""
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.send(cohort)


def _work(connection: Connection, jobs: Jobs, parent: int) -> None:
    """A worker's life: one cohort after another, until nobody sends any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides.
    torch.set_num_threads(1)
    try:
        tell = _teller(connection, parent)
        course = cache(lambda stack: course_for(jobs[stack], tell))
        for cohort in _cohorts(connection):
            train_whole(cohort, course(cohort.stack))
            connection.send(("done", None))
    except DistillError as error:
        connection.send(("failed", error))
    except Exception:
        connection.send(("failed", RuntimeError(f"in a worker:\n{traceback.format_exc()}")))


def course_for(job: Job, tell: Callable[[int], None]) -> Course:
    """What the members of a job are trained with, read from the store.

    Args:
        job: which members.
        tell: called with the rows of each step.
    """
    store = Store(job.recipe.store)
    impressions = load(job.recipe.data, store.data)
    knowledge = store.knowledge.find(job.knowledge)
    assert knowledge is not None, "students train after their teacher"
    return course_of(job.recipe, impressions, knowledge, store, tell)


def _cohorts(connection: Connection) -> Iterable[Cohort]:
    while True:
        try:
            yield connection.recv()
        except EOFError:
            return


def _teller(connection: Connection, parent: int) -> Callable[[int], None]:
    """Tells rows in handfuls, and ends the process when nobody is left to hear of them."""
    told = 0

    def tell(rows: int) -> None:
        nonlocal told
        told += rows
        if told >= 50_000:
            if os.getppid() != parent:
                os._exit(1)
            connection.send(("rows", told))
            told = 0

    return tell
