"""kill -9 at random moments of random processes, rerun until done: the table is that of an undisturbed run."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

ROUNDS = int(os.environ.get("DISTILL_CHAOS_ROUNDS", "10"))
"""Kills, all lives together."""

KINDS = ("worker", "driver", "writer")
"""Who is killed: a process that trains, the command, or the command while it sends records to MLflow."""

RECIPE = """
name: tiny
data:
  world: {verticals: 6, domains: 2, users: 80, items: 40, rows: 3000, days: 6}
  time: time
  user: user_id
  split: {by: column, column: split}
  features: {item_id: {kind: categorical, hide: 0.1}, hour: categorical, user_activity: numeric}
teacher:
  model: {class: teachers.AttentiveCross, embedding: 4, hidden: [8], heads: 1}
  train: {batch: 64, learning_rate: 5.0e-3}
students:
  model: {class: students.DNN, embedding: 4, hidden: [8]}
  train: {epochs: 4, batch: 32}
workers: 2
evidence: {resamples: 100}
"""

SWEEP = "base: tiny.yaml\ngrid: {students.distill.logit.weight: [0.2, 0.8], students.model.hidden: [[8], [6]]}\n"

COMMAND = [sys.executable, "-m", "distill.cli", "sweep", "sweep.yaml", "--json", "out.json"]


def start(folder: Path) -> subprocess.Popen[bytes]:
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(COMMAND, cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"}, **silent)


def fresh(folder: Path) -> Path:
    folder.mkdir()
    (folder / "tiny.yaml").write_text(RECIPE)
    (folder / "sweep.yaml").write_text(SWEEP)
    return folder


def family(parent: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue
        children.setdefault(int(text.rpartition(")")[2].split()[1]), []).append(int(path.parent.name))
    found, fresh = [], [parent]
    while fresh:
        found.append(fresh.pop())
        fresh += children.get(found[-1], [])
    return found


def is_worker(pid: int) -> bool:
    """Not the process in which multiprocessing keeps count of its semaphores."""
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def victims(kind: str, process: subprocess.Popen[bytes], folder: Path) -> list[int]:
    """Whom a kill of this kind may hit now. The writer is a thread of the command: it is at work while records wait."""
    if kind == "worker":
        return [pid for pid in family(process.pid)[1:] if is_worker(pid)]
    waits = kind == "driver" or any(folder.glob("mlruns/outbox/*/waiting/*.json"))
    return [process.pid] if waits else []


def killed(kind: str, process: subprocess.Popen[bytes], folder: Path, chance: random.Random) -> bool:
    """Kills one of a kind as soon as there is any; whether there was, before the command ended."""
    while process.poll() is None:
        if found := victims(kind, process, folder):
            try:
                os.kill(chance.choice(found), signal.SIGKILL)
            except ProcessLookupError:
                continue
            return True
        time.sleep(0.01)
    return False


class Deck:
    """Kinds of victims by chance, each as often as the others."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.left: list[str] = []
        self.taken: Counter[str] = Counter()

    def look(self, wanted: tuple[str, ...]) -> str:
        """One of the wanted kinds, of those that are behind where there are any."""
        self.left = self.left or self.chance.sample(KINDS, len(KINDS))
        return next((kind for kind in self.left if kind in wanted), wanted[0])

    def take(self, kind: str) -> None:
        """It has been killed."""
        self.taken[kind] += 1
        if kind in self.left:
            self.left.remove(kind)


def outcome(folder: Path) -> dict:
    table = json.loads((folder / "out.json").read_text())
    rows = [{name: value for name, value in row.items() if name != "run_id"} for row in table["students"]]
    return table | {"seconds": None, "students": rows}


def recorded(folder: Path) -> list[tuple[str, str, str]]:
    """Name, status and key of every run; one parent, all others its children, but for who taught them."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()], max_results=1000)
    parents = [run.info.run_id for run in runs if run.data.tags["distill.role"] == "sweep"]
    assert len(parents) == 1
    children = [run for run in runs if run.data.tags["distill.role"] == "student"]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == set(parents)
    return sorted((run.info.run_name, run.info.status, run.data.tags["distill.key"]) for run in runs)


@pytest.mark.slow
def test_whoever_is_killed_the_table_is_the_same(tmp_path: Path) -> None:
    """A life is a store that is begun and killed until it is done; there are as many as the kills make of it."""
    calm = fresh(tmp_path / "calm")
    begun = time.monotonic()
    assert start(calm).wait() == 0
    usual = time.monotonic() - begun
    expected, runs = outcome(calm), recorded(calm)
    assert len({key for _, _, key in runs}) == len(runs) and {status for _, status, _ in runs} == {"FINISHED"}
    chance = random.Random(0)
    deck, lives = Deck(chance), 0
    while deck.taken.total() < ROUNDS:
        folder = fresh(tmp_path / f"life{lives}")
        lives += 1
        while not (folder / "out.json").exists():
            assert disturbed(folder, deck, usual, chance) in (0, -signal.SIGKILL)
        assert start(folder).wait() == 0
        assert outcome(folder) == expected
        assert recorded(folder) == runs
        print(f"life {lives}: {dict(deck.taken)}")
    assert deck.taken.keys() == set(KINDS)


def disturbed(folder: Path, deck: Deck, usual: float, chance: random.Random) -> int:
    """How a command ends, of whose processes up to three are killed."""
    process = start(folder)
    for number in range(3):
        if process.poll() is not None or deck.taken.total() == ROUNDS:
            break
        # A cohort that kills three workers would be halved, so the third is never one.
        kind = deck.look(KINDS if number < 2 else KINDS[1:])
        time.sleep(chance.uniform(0, usual) / 3)
        if killed(kind, process, folder, chance):
            deck.take(kind)
    return process.wait()
