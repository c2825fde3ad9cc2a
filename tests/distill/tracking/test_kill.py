"""Killed at any step on the way to MLflow, with no chance to clean up; run again, each run is there, once and whole."""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from distill.tracking import RunRecord, Tracker

pytestmark = pytest.mark.filterwarnings("ignore:.*noload.*:DeprecationWarning")

UNMADE = "half of the tables"
"""The point at which there is no database yet."""

POINTS = {
    UNMADE: ("Tables", "update_to_step", "before", 40),
    "nothing written": ("Journal", "append", "before", 1),
    "marked, not created": ("MlflowClient", "create_run", "before", 2),
    "created, empty": ("MlflowClient", "create_run", "after", 2),
    "parent created, empty": ("MlflowClient", "create_run", "after", 1),
    "filled": ("MlflowClient", "log_batch", "after", 2),
    "one artifact of two": ("MlflowClient", "log_text", "after", 1),
    "ended, not marked as sent": ("MlflowClient", "set_terminated", "after", 2),
    "marked as sent, still in the outbox": ("Journal", "append", "after", 4),
    "updated, not marked as sent": ("MlflowClient", "set_terminated", "after", 4),
}
"""What is done when the process dies: before or after which call of which method, and at its how manyth call."""

VICTIM = """
import json, os, signal, sys, time
from pathlib import Path

from alembic.runtime.migration import HeadMaintainer as Tables
from mlflow import MlflowClient

from distill.tracking import Tracker
from distill.tracking.experiment import Experiment
from distill.tracking.journal import Journal
from distill.tracking.record import from_json


def die(owner, name, when, turn):
    method, calls = getattr(owner, name), []

    def dying(*args, **options):
        calls.append(name)
        if len(calls) == turn and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = method(*args, **options)
        if len(calls) == turn:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, dying)


def work(folder):
    tracker = Tracker(f"sqlite:///{folder}/mlflow.db", "quickstart", folder)
    for record in json.loads(Path(sys.argv[2]).read_text()):
        tracker.record(from_json(record))
        while list(folder.glob("outbox/*/waiting/*.json")):
            time.sleep(0.002)  # One after the other, so that calls come in one order.
    os._exit(0)


Experiment(f"sqlite:///{Path(sys.argv[2]).parent}/mlflow.db", "quickstart", Path())  # Loads what MLflow loads late.
for point, (owner, name, when, turn) in json.loads(sys.argv[1]).items():
    child = os.fork()
    if child == 0:
        die({"Journal": Journal, "MlflowClient": MlflowClient, "Tables": Tables}[owner], name, when, turn)
        work(Path(sys.argv[2]).parent / point)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, point
"""

PARENT = RunRecord(key="p", parent=None, name="quickstart", finished=False)
FINAL = replace(PARENT, finished=True, note="done", artifacts={"recipe.yaml": "a: 1", "report/leaderboard.md": "| a |"})
STUDENTS = [
    RunRecord(
        key=f"s{seed}",
        parent="p",
        name=f"travel/control/{seed}",
        params={"seed": seed},
        curves={"ne": [(0, 1.0), (1, 0.9)]},
    )
    for seed in range(3)
]


@pytest.fixture(scope="module")
def killed(first_use, tmp_path_factory):
    """A folder for each point, as a killed process has left it."""
    folder = tmp_path_factory.mktemp("killed")
    for point in POINTS:
        (folder / point).mkdir()
        if point != UNMADE:
            shutil.copy(first_use[0] / "mlflow.db", folder / point)
    shutil.copy(first_use[0] / "mlflow.db", folder)
    records = folder / "records.json"
    records.write_text(json.dumps([asdict(record) for record in (PARENT, *STUDENTS, FINAL)]))
    command = [sys.executable, "-c", VICTIM, json.dumps(POINTS), str(records)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("point", POINTS)
def test_each_run_is_there_once_and_whole(killed, point):
    from mlflow import MlflowClient

    folder = killed / point
    uri = f"sqlite:///{folder}/mlflow.db"
    with Tracker(uri, "quickstart", folder) as tracker:
        for record in (PARENT, *STUDENTS, FINAL):
            tracker.record(record)

    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("quickstart").experiment_id])
    assert {run.info.run_name: run.info.run_id for run in runs} == {
        record.name: tracker.run_ids()[record.key] for record in (PARENT, *STUDENTS)
    }
    assert len(runs) == 4
    assert {run.info.status for run in runs} == {"FINISHED"}
    parent = next(run for run in runs if run.info.run_name == "quickstart")
    assert parent.data.tags["mlflow.note.content"] == "done"
    artifacts = Path(url2pathname(urlsplit(parent.info.artifact_uri).path))
    assert (artifacts / "report" / "leaderboard.md").read_text() == "| a |"
    for run in [run for run in runs if run is not parent]:
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.params["seed"] == run.info.run_name[-1]
        points = client.get_metric_history(run.info.run_id, "ne")
        assert [(point.step, point.value) for point in points] == [(0, 1.0), (1, 0.9)]
