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

from distill.data.impressions import load
from distill.errors import DistillError, Fault, RecipeError, TrainingError
from distill.knowledge import Knowledge
from distill.learner import accelerator, keep_programs
from distill.recipe import Recipe
from distill.scoring import Lesson, knowledge_of, manifest_of
from distill.store import Store
from distill.transfer import lesson_of
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


def taught(recipe: Recipe, lesson: Lesson, store: Store) -> Knowledge:
    """The teacher's table of knowledge: found, gone on with, or made, by as many processes as the recipe says.

    Where torchrun or Slurm has started this process among others, it joins them as the first; else the others are
    started here. When one dies all are started again, and go on from the last checkpoint.

    Args:
        recipe: whose teacher.
        lesson: what it is trained with; its `tell` hears of the rows of each step.
        store: where the table is.

    Raises:
        TrainingError: processes died again and again.
    """
    if recipe.trainer.strategy == "single":
        return knowledge_of(lesson, store.knowledge)
    found = store.knowledge.find(manifest_of(lesson).fingerprint)
    if enlisted(recipe):
        return _among_others(recipe, lesson, store)
    if found is None:
        _start_again(recipe, lesson.tell)
        found = store.knowledge.find(manifest_of(lesson).fingerprint)
        assert found is not None, "processes that end well have left a table"
    return found


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
        _learn(recipe, lambda rows: None)


def _among_others(recipe: Recipe, lesson: Lesson, store: Store) -> Knowledge:
    from distill.distributed import given, joined

    place = given()
    assert place is not None
    with joined(place, accelerator(recipe.trainer.device)):
        return knowledge_of(lesson, store.knowledge)


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
            _learn(task.recipe, _teller(connection, task))
        connection.send(("done", None))
    except DistillError as error:
        connection.send(("failed", error))
    except RuntimeError as error:
        if not _left_alone(error):
            connection.send(("failed", RuntimeError(f"in process {task.rank}:\n{traceback.format_exc()}")))
        os._exit(1)  # Who waits for a process that is gone cannot leave the group in good order.
    except Exception:
        connection.send(("failed", RuntimeError(f"in process {task.rank}:\n{traceback.format_exc()}")))


def _learn(recipe: Recipe, tell: Tell) -> None:
    store = Store(recipe.store)
    keep_programs(store.programs)
    knowledge_of(lesson_of(recipe, load(recipe.data, store.data), tell), store.knowledge)


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
