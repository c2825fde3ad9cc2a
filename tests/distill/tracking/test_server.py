import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from distill.errors import RecipeError, StoreError
from distill.tracking import RunRecord, Tracker, serve

SERVE = "import sys; from distill.tracking import serve; serve(sys.argv[1], int(sys.argv[2]))"


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_missing_database_is_named_with_what_makes_one(tmp_path, port):
    with pytest.raises(StoreError, match=r"mlflow\.db.*distill run"):
        serve(f"sqlite:///{tmp_path}/mlflow.db", port)


def test_a_taken_port_is_named(tmp_path):
    (tmp_path / "mlflow.db").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RecipeError, match=f"port {port} .*--port"):
            serve(f"sqlite:///{tmp_path}/mlflow.db", port)


def test_a_server_elsewhere_is_only_pointed_at(capsys):
    serve("https://ann:secret@tracking.example", 5000)
    assert capsys.readouterr().out == "MLflow is served at https://***@tracking.example\n"


def members(group: int) -> list[str]:
    """Processes of a session that are alive."""
    alive = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(session) == group and state != "Z":
            alive.append(stat.parent.name)
    return alive


def children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@pytest.mark.slow
@pytest.mark.ui
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads the process table of Linux")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serving_from_start_to_end(store, port, tmp_path, number):
    with Tracker(store.uri, store.experiment, store.folder) as tracker:
        tracker.record(RunRecord(key="p", parent=None, name="quickstart"))
    address = f"http://127.0.0.1:{port}"
    away = Tracker(address, "over http", tmp_path)
    away.record(RunRecord(key="h", parent=None, name="late", metrics={"ne": 0.9}, artifacts={"a.txt": "text"}))
    assert away.close(timeout=60)[:2] == (0, 1)

    server = subprocess.Popen([sys.executable, "-c", SERVE, store.uri, str(port)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout.readline() == f"MLflow is served at {address} (Ctrl-C ends it)\n"
        link = server.stdout.readline().strip()
        assert link.startswith(f"quickstart: {address}/#/experiments/{store.found.experiment_id}/runs?")
        (group,) = children(server.pid)

        assert Tracker(address, "over http", tmp_path).close(timeout=60) == (1, 0, "")
        experiment = store.client.get_experiment_by_name("over http")
        (run,) = store.client.search_runs([experiment.experiment_id])
        assert (run.info.run_name, run.data.metrics) == ("late", {"ne": 0.9})
        assert list(store.folder.rglob("a.txt"))

        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(urllib.request.Request(address, headers={"Host": "elsewhere.example"}), timeout=20)
        assert len(members(group)) <= 4
        os.kill(server.pid, number)
        assert server.wait(timeout=40) == 0
        time.sleep(0.2)
        assert members(group) == []
    finally:
        server.kill()
