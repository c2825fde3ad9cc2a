"""Ranks: the processes that train one teacher together, started here or by torchrun or Slurm."""

import multiprocessing
import os
import signal
import socket
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

import torch

from distill.data.impressions import Impressions, load
from distill.errors import DistillError, Fault, RecipeError, TrainingError
from distill.learner import accelerator, keep_programs
from distill.lesson import Lesson, lesson_fingerprint
from distill.panel import lesson_of, seats
from distill.recipe import Recipe
from distill.recipe.sections import OutsideTeacher
from distill.scoring import knowledge_of
from distill.store import Store
from distill.workers import ATTEMPTS, GRACE

HERE = "127.0.0.1"

REASON = 1.0
"""Seconds that a process has to say why it failed, when another one was lost to it."""

Tell = Callable[[int], None]


class Task(NamedTuple):
    """What a process needs in order to join: everything else is in the store.

    Attributes:
        recipe: whose teacher is trained.
        rank: number of the process.
        port: on which the first process is found, on this machine.
        parent: the process that started it.
    """

    recipe: Recipe
    rank: int
    port: int
    parent: int


def train_together(recipe: Recipe, impressions: Impressions, store: Store, tell: Tell) -> None:
    """Makes the table of every teacher that is trained, by as many processes as the recipe says; by one alone, none.

    Where torchrun or Slurm has started this process among others, it joins them as the first; else the others are
    started here. When one dies all are started again, and go on from the last checkpoint.

    Args:
        recipe: whose teachers.
        impressions: the rows.
        store: where the tables are.
        tell: called with the rows of each step.

    Raises:
        TrainingError: processes died again and again.
        RecipeError: the recipe wants TorchRec, which is not installed.
    """
    if recipe.trainer.strategy == "single":
        return
    if recipe.trainer.tables == "torchrec":
        from distill.distributed.torchrec_tables import require

        require()
    if enlisted(recipe):
        _among_others(recipe, impressions, store, tell)
    elif not all(store.knowledge.find(lesson_fingerprint(one)) for one in _lessons(recipe, impressions, tell)):
        _start_again(recipe, tell)


def enlisted(recipe: Recipe) -> bool:
    """Whether torchrun or Slurm has started this process among others, to train the teacher of this recipe.

    Raises:
        RecipeError: there are more or fewer of them than the recipe says.
    """
    if recipe.trainer.strategy == "single":
        return False
    from distill.distributed import given

    place = given()
    if place is not None and place.ranks != recipe.trainer.devices:
        what = f"is {recipe.trainer.devices}, and {place.ranks} processes have been started."
        raise RecipeError(Fault("trainer.devices", what, f"Say trainer.devices={place.ranks}."))
    return place is not None


def follows(recipe: Recipe) -> bool:
    """Whether this process is one of those that others lead: it trains the teacher with them, and is then done."""
    if not enlisted(recipe):
        return False
    from distill.distributed import given

    place = given()
    return place is not None and place.rank > 0


def follow(recipe: Recipe) -> None:
    """The part of a run that a process takes that torchrun or Slurm has started, and that is not the first."""
    from distill.distributed import given, joined

    place = given()
    assert place is not None
    with joined(place, accelerator(recipe.trainer.device)):  # Which waits until the first one has read the data.
        _join(recipe, lambda rows: None)


def _among_others(recipe: Recipe, impressions: Impressions, store: Store, tell: Tell) -> None:
    from distill.distributed import given, joined

    place = given()
    assert place is not None
    with joined(place, accelerator(recipe.trainer.device)):
        _learn(_lessons(recipe, impressions, tell), store)


def _start_again(recipe: Recipe, tell: Tell) -> None:
    """Starts all processes, until they end well."""
    for _ in range(ATTEMPTS):
        with _started(recipe) as gang:
            if _listen(gang, tell):
                return
    what = f"one of its {recipe.trainer.devices} processes died, {ATTEMPTS} times."
    raise TrainingError(Fault("teacher", what, "Perhaps memory is short: trainer.accumulate takes less."))


@contextmanager
def _started(recipe: Recipe) -> Iterator[dict[Connection, BaseProcess]]:
    """The processes, by the connection to each; none of them outlives the block."""
    context = multiprocessing.get_context("spawn")  # A forked one may wait for ever for a lock of a thread of ours.
    port, gang = free_port(), {}
    try:
        for rank in range(recipe.trainer.devices):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, Task(recipe, rank, port, os.getpid())), daemon=True)
            process.start()
            theirs.close()
            gang[ours] = process
        yield gang
    finally:
        for process in gang.values():
            process.terminate()
        for process in gang.values():
            process.join(GRACE)
            process.kill()
            process.join()


def _listen(gang: dict[Connection, BaseProcess], tell: Tell) -> bool:
    """Hears of rows until every process has ended; False as soon as one has died."""
    waiting = set(gang)
    while waiting:
        for connection in wait(list(waiting)):
            assert isinstance(connection, Connection)
            word, content = _heard(connection)
            if word == "rows":
                tell(content)
            elif word == "done":
                waiting.remove(connection)
            else:
                _raise_reason(waiting - {connection})
                return False
    return True


def _heard(connection: Connection) -> tuple[str, Any]:
    """The next word of a process, which raises where it is the reason of its failure; `gone` from a dead one."""
    try:
        word, content = connection.recv()
    except (EOFError, ConnectionResetError):
        return "gone", None
    if word == "failed":
        raise content
    return word, content


def _raise_reason(others: Iterable[Connection]) -> None:
    """One that failed takes others with it, and they may be heard first."""
    for connection in others:
        while connection.poll(REASON) and _heard(connection)[0] != "gone":
            pass


def _work(connection: Connection, task: Task) -> None:
    """The life of one of the processes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides.
    torch.set_num_threads(1)
    from distill.distributed import Place, joined

    place = Place(task.rank, task.recipe.trainer.devices, task.rank, HERE, task.port)
    try:
        with joined(place, accelerator(task.recipe.trainer.device)):
            _join(task.recipe, _teller(connection, task))
        connection.send(("done", None))
    except DistillError as error:
        connection.send(("failed", error))
    except RuntimeError as error:
        if not _left_alone(error):
            connection.send(("failed", RuntimeError(f"in process {task.rank}:\n{traceback.format_exc()}")))
        os._exit(1)  # Who waits for a process that is gone cannot leave the group in good order.
    except Exception:
        connection.send(("failed", RuntimeError(f"in process {task.rank}:\n{traceback.format_exc()}")))


def _join(recipe: Recipe, tell: Tell) -> None:
    """What a process does in a group that another one leads."""
    store = Store(recipe.store)
    keep_programs(store.programs)
    _learn(_lessons(recipe, load(recipe.data, store.data), tell), store)


def _learn(lessons: Iterable[Lesson], store: Store) -> None:
    """All processes, one teacher after another; those whose table is there are passed over."""
    for lesson in lessons:
        knowledge_of(lesson, store.knowledge)


def _lessons(recipe: Recipe, impressions: Impressions, tell: Tell) -> list[Lesson]:
    """Of every teacher that is trained, in the order of their seats."""
    here = [seat for seat in seats(recipe) if not isinstance(seat.teacher, OutsideTeacher)]
    return [lesson_of(recipe, impressions, tell, seat) for seat in here]


def _left_alone(error: RuntimeError) -> bool:
    """Whether it is the death of another process that ended this one: torch says so in no class of its own."""
    return isinstance(error, torch.distributed.DistError) or "gloo" in str(error).lower()


def _teller(connection: Connection, task: Task) -> Tell:
    """The first process speaks for all; every process ends when nobody is left to hear of it."""

    def tell(rows: int) -> None:
        if os.getppid() != task.parent:
            os._exit(1)
        if task.rank == 0:
            connection.send(("rows", rows))

    return tell


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as listener:
        listener.bind((HERE, 0))
        return listener.getsockname()[1]
