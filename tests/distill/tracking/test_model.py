"""An exported student behind MLflow's own server answers with the numbers of `distill score`."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from mlflow.models.utils import _enforce_schema
from mlflow.utils.proto_json_utils import dataframe_from_parsed_json

from distill.cli.exporting import export, score
from distill.data.streamed import from_pandas
from distill.errors import DataError
from distill.files import read_json
from distill.pipeline import run
from distill.progress import Progress
from distill.recipe import load
from distill.serving import Export
from distill.tracking.model import _signature

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
        try:
            request = urllib.request.Request(url, question, {"Content-Type": "application/json"})
            return json.load(urllib.request.urlopen(request, timeout=60))["predictions"]
        except urllib.error.HTTPError:
            raise  # It is an answer.
        except OSError:
            time.sleep(1)
    pytest.fail("the server does not answer")


def alone(folder: Path, frame: pl.DataFrame) -> np.ndarray:
    return Export(folder).score(frame).probability[:, 0].numpy()


@pytest.mark.parametrize("odd", [80.5, True, "80", 2**60])
@pytest.mark.parametrize("column", ["item", "flag"])
def test_no_value_is_cast_on_its_way_from_json(odd, column):
    """By MLflow, to the type in the signature: what comes out is what went in, or the rows are refused."""
    kinds = {"item": "Int64", "flag": "Boolean"}
    read = SimpleNamespace(columns=kinds)
    manifest = SimpleNamespace(preprocessing=read)
    schema = _signature(SimpleNamespace(manifest=manifest, caches={}, tasks=("click",))).inputs
    for value, there in ((None, None), (odd, odd)):
        rows = [[3, False], [value if column == "item" else 3, value if column == "flag" else False]]
        frame = _enforce_schema(
            dataframe_from_parsed_json({"columns": list(kinds), "data": rows}, "split", schema), schema
        )
        try:
            found = from_pandas(frame)[column][1]
        except DataError:
            assert value is not None
        else:
            assert found == there


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
        raw = frame.drop("label", "vertical", "split", "row_id")[:50]
        said = asked(port, raw, server)
        with pytest.raises(urllib.error.HTTPError, match="400"):
            asked(port, raw.with_columns(item=pl.col("item") + 0.5), server)
        nulls = raw.with_columns(item=None)
        assert np.allclose(np.ravel(asked(port, nulls, server)), alone(tmp_path / "one", nulls), rtol=0, atol=1e-6)
    finally:
        server.terminate()
        server.wait(30)
    meant = pl.read_parquet(tmp_path / "out.parquet")["probability"][:50]
    assert np.allclose(np.ravel(said), meant.to_numpy(), rtol=0, atol=1e-6)
