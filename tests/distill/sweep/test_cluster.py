"""Ray gives what processes of this machine give, whichever of its workers dies."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import polars as pl
import pytest

from distill.errors import RecipeError
from distill.progress import Progress
from distill.sweep import Sweep, load
from distill.sweep.cluster import train_on_ray
from distill.sweep.running import run

RECIPE = """
name: tiny
data:
  world: {verticals: 6, domains: 2, users: 60, items: 40, rows: 2400, days: 6}
  row_id: row_id
  time: time
  split: {by: column, column: split}
  features: {item_id: categorical, hour: categorical}
teacher: {knowledge: scores.parquet}
students:
  model: {class: students.DNN, embedding: 4, hidden: [8]}
  train: {epochs: 2, batch: 32, least_steps: 8}
evidence: {resamples: 100}
tracking: {uri: null}
"""


def loaded(folder: Path, store: str) -> Sweep:
    (folder / "tiny.yaml").write_text(RECIPE)
    pl.DataFrame({"row_id": range(2400), "logit": [-1.0] * 2400}).write_parquet(folder / "scores.parquet")
    (folder / "sweep.yaml").write_text("base: tiny.yaml\ngrid: {students.distill.logit.weight: [0.2, 0.8]}\n")
    return load(folder / "sweep.yaml", [f"store={folder}/{store}"])


@pytest.mark.slow
def test_ray_gives_what_one_process_gives_though_a_worker_is_killed(tmp_path: Path) -> None:
    """To the bit, but for seconds. The victim is the first worker that says it trains."""
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    alone = run(loaded(tmp_path, "alone"), Progress())
    killed: list[int] = []

    def kill() -> None:
        while not killed:
            drafts = list((tmp_path / "ray").glob("store/cohorts/*/trained.*.draft"))
            killed.extend(int(draft.name.split(".")[1]) for draft in drafts[:1])
            time.sleep(0.01)
        os.kill(killed[0], signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    try:
        together = run(loaded(tmp_path, "ray"), Progress(), train_on_ray)
    finally:
        ray.shutdown()
    assert killed
    assert together | {"seconds": None} == alone | {"seconds": None}


def test_without_ray_there_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which says how to get it."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RecipeError, match=r"Ray is not installed.*\[ray\]"):
        run(loaded(tmp_path, "none"), Progress(), train_on_ray)
