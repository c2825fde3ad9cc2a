"""An exported student behind MLflow's own server answers with the numbers of `distill score`."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from distill.cli.exporting import export, score
from distill.files import read_json
from distill.pipeline import run
from distill.progress import Progress
from distill.recipe import load

RECIPE = """
name: served
data:
  path: impressions.parquet
  row_id: row_id
  split: {by: column, column: split}
  features:
    place: categorical
    item: categorical
    age: {kind: numeric, missing: mean}
    tags: {kind: multi_valued, length: 2}
teacher: {knowledge: scores.parquet}
students:
  model: {class: students.DNN, embedding: 4, hidden: [8]}
  train: {epochs: 1, batch: 64}
evidence: {resamples: 100}
"""


def written(folder: Path, rows: int = 600) -> pl.DataFrame:
    rng = np.random.default_rng(3)
    frame = pl.DataFrame(
        {
            "label": rng.integers(2, size=rows),
            "vertical": "cars",
            "row_id": range(rows),
            "split": rng.choice(["train", "valid", "test"], size=rows, p=[0.7, 0.1, 0.2]),
            "place": rng.choice(["home", "work", "elsewhere"], size=rows),
            "item": rng.integers(9, size=rows),
            "age": rng.normal(40, 9, size=rows),
            "tags": [[f"t{x}" for x in rng.integers(5, size=n)] for n in rng.integers(1, 4, size=rows)],
        }
    )
    frame.write_parquet(folder / "impressions.parquet")
    pl.DataFrame({"row_id": range(rows), "logit": rng.normal(size=rows)}).write_parquet(folder / "scores.parquet")
    (folder / "served.yaml").write_text(RECIPE)
    return frame


def asked(port: int, frame: pl.DataFrame, server: subprocess.Popen) -> list:
    split = {"columns": frame.columns, "data": [list(row) for row in frame.rows()]}
    question = json.dumps({"dataframe_split": split}).encode()
    url = f"http://127.0.0.1:{port}/invocations"
    for _ in range(180):
        assert server.poll() is None, "the server has ended"
        with suppress(OSError):
            request = urllib.request.Request(url, question, {"Content-Type": "application/json"})
            return json.load(urllib.request.urlopen(request, timeout=60))["predictions"]
        time.sleep(1)
    pytest.fail("the server does not answer")


@pytest.mark.slow
@pytest.mark.ui
def test_a_registered_student_answers_over_http_as_a_table_is_scored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame, uri = written(tmp_path), f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    changes = [f"store={tmp_path}/mlruns", f"tracking.uri={uri}"]
    run(load(tmp_path / "served.yaml", changes), Progress())
    export("served.yaml", tmp_path / "one", changes, vertical="cars", register="cars", json=str(tmp_path / "said.json"))
    score(tmp_path / "one", tmp_path / "impressions.parquet", tmp_path / "out.parquet")
    assert read_json(tmp_path / "said.json")["students"][0]["registered"] == "cars version 1"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/cars/1", "--env-manager", "local"]
    server = subprocess.Popen([*command, "-p", str(port)], env={**os.environ, "MLFLOW_TRACKING_URI": uri})
    try:
        said = asked(port, frame.drop("label", "vertical", "split", "row_id")[:50], server)
    finally:
        server.terminate()
        server.wait(30)
    meant = pl.read_parquet(tmp_path / "out.parquet")["probability"][:50]
    assert np.allclose(np.ravel(said), meant.to_numpy(), rtol=0, atol=1e-6)
