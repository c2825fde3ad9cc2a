"""A real server: eight sweeps at once, a restart in their middle, and no run lost or doubled."""

import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]

SWEEPS = 8

RECIPE = """
name: tiny
data:
  world: {{verticals: 4, domains: 2, users: 40, items: 20, rows: 1200, days: 6}}
  row_id: row_id
  time: time
  split: {{by: column, column: split}}
  features: {{item_id: categorical, hour: categorical}}
teacher: {{model: {{class: teachers.AttentiveCross, embedding: 2, hidden: [4], heads: 1}}, train: {{batch: 128}}}}
students:
  model: {{class: students.DNN, embedding: 2, hidden: [4]}}
  train: {{epochs: 1, batch: 64, least_steps: 2}}
evidence: {{resamples: 100}}
tracking: {{uri: "{uri}", experiment: shared}}
seed: {seed}
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that the user postgres reaches, as pytest's own are not."""
    made = Path(tempfile.mkdtemp(prefix="distill-test-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@contextmanager
def served(folder: Path, port: int) -> Iterator[None]:
    """The script, from when it answers."""
    command = [str(CHECKOUT / "scripts" / "tracking-server"), str(folder), str(port)]
    environment = os.environ | {"DISTILL_PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    script = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        deadline = time.monotonic() + 300
        while not _answers(port):
            assert script.poll() is None and time.monotonic() < deadline, script.communicate()[0]
            time.sleep(0.2)
        yield
    finally:
        script.send_signal(signal.SIGTERM)
        said, _ = script.communicate(timeout=120)
    assert script.returncode == 0, said


def _answers(port: int) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
        return True
    return False


def _sweep(folder: Path) -> None:
    from distill.progress import Progress
    from distill.sweep import load
    from distill.sweep.running import run

    run(load(folder / "sweep.yaml", [f"store={folder}/store"]), Progress())


def _written(folder: Path, uri: str, seed: int) -> Path:
    folder.mkdir()
    (folder / "tiny.yaml").write_text(RECIPE.format(uri=uri, seed=seed))
    grid = "students.distill.logit.weight: [0.3, 0.6]"
    (folder / "sweep.yaml").write_text(f"name: sweep{seed}\nbase: tiny.yaml\ngrid: {{{grid}}}\n")
    return folder


@pytest.mark.slow
@pytest.mark.ui
def test_eight_sweeps_and_a_restart_lose_no_run_and_double_none(folder: Path) -> None:
    """The server goes when the first records are there, and comes again when some wait; what is left, sync delivers."""
    pytest.importorskip("psycopg2", reason="psycopg2 is not installed")
    if not shutil.which("initdb") and not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        pytest.skip("PostgreSQL's server is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    folders = [_written(folder / f"sweep{seed}", uri, seed) for seed in range(SWEEPS)]
    context = multiprocessing.get_context("forkserver")  # which imports everything once
    context.set_forkserver_preload(["distill.sweep", "distill.pipeline", "mlflow.tracking"])
    sweeps = [context.Process(target=_sweep, args=(one,)) for one in folders]
    with served(folder / "server", port):
        for sweep in sweeps:
            sweep.start()
        _until(lambda: _sent(folders) > SWEEPS)
    _until(lambda: any(_waiting(one) for one in folders) or not any(sweep.is_alive() for sweep in sweeps))
    with served(folder / "server", port):
        for sweep in sweeps:
            sweep.join()
        assert [sweep.exitcode for sweep in sweeps] == [0] * SWEEPS
        for one in folders:
            _synced(one)
        assert not any(_waiting(one) for one in folders)
        _complete(uri)


def _until(done: object) -> None:
    deadline = time.monotonic() + 600
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _waiting(folder: Path) -> int:
    return sum(1 for _ in folder.glob("store/outbox/*/waiting/*.json"))


def _sent(folders: list[Path]) -> int:
    """Steps that are in the journals; two a record."""
    return (
        sum(path.read_text().count("\n") for one in folders for path in one.glob("store/outbox/*/journal.jsonl")) // 2
    )


def _synced(folder: Path) -> None:
    """What `distill sync` does."""
    from distill.sweep import load
    from distill.tracking import open_tracker

    base = load(folder / "sweep.yaml", [f"store={folder}/store"]).base
    with open_tracker(base.tracking.uri, "shared", base.store) as tracker:
        assert tracker.close().waiting == 0


def _complete(uri: str) -> None:
    """Eight sweeps, each with its teacher and twelve students (four verticals, two points, controls shared), finished,
    once."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("shared")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    keys = [run.data.tags["distill.key"] for run in runs]
    assert len(keys) == len(set(keys))
    assert {run.info.status for run in runs} == {"FINISHED"}
    roles = Counter(run.data.tags["distill.role"] for run in runs)
    assert roles == {"sweep": SWEEPS, "teacher": SWEEPS, "student": SWEEPS * 12}
    students = [run for run in runs if run.data.tags["distill.role"] == "student"]
    assert set(Counter(run.data.tags["mlflow.parentRunId"] for run in students).values()) == {12}
    assert all("ne" in run.data.metrics for run in students)
