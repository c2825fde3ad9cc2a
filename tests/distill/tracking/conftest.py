import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

FIRST_USE = """
import sys
from pathlib import Path
from distill.tracking import RunRecord, Tracker

assert "mlflow" not in sys.modules
folder = Path(sys.argv[1])
tracker = Tracker(f"sqlite:///{folder}/mlflow.db", "first", folder)
tracker.record(RunRecord(key="first", parent=None, name="first"))
assert tracker.close(timeout=100) == (1, 0, "")
assert "mlflow" in sys.modules
"""


@pytest.fixture(scope="session")
def first_use(tmp_path_factory):
    """A database as a first run leaves it, and what that run printed. MLflow takes seconds to create one."""
    folder = tmp_path_factory.mktemp("template")
    done = subprocess.run([sys.executable, "-c", FIRST_USE, str(folder)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout + done.stderr


@dataclass
class Store:
    """A tracking database of a test's own."""

    folder: Path
    experiment: str = "quickstart"

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.folder}/mlflow.db"

    @property
    def client(self):
        from mlflow import MlflowClient

        return MlflowClient(self.uri)

    @property
    def found(self):
        return self.client.get_experiment_by_name(self.experiment)

    def runs(self) -> dict[str, object]:
        """Run by name; fails where a name comes twice."""
        runs = self.client.search_runs([self.found.experiment_id])
        by_name = {run.info.run_name: run for run in runs}
        assert len(by_name) == len(runs)
        return by_name


@pytest.fixture
def store(first_use, tmp_path):
    shutil.copy(first_use[0] / "mlflow.db", tmp_path)
    return Store(tmp_path)
