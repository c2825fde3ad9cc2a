"""tracking: one batch a run against one call a number, in MLflow."""

import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory

from distill.bench.figure import Figure
from distill.bench.rounds import Scale, Work, in_turn, ratios
from distill.tracking import RunRecord, Tracker

RUNS, FEWER = 40, 4
"""Runs of a round: ours, and call by call, as those take so long."""

PARAMS = {f"param_{number}": number for number in range(30)}
METRICS = {f"metric_{number}": number / 60 for number in range(60)}


def measure(scale: Scale) -> Iterator[Figure]:
    """Milliseconds of the wall clock a run of 30 parameters and 60 metrics, in a database that is there already."""
    runs, fewer = scale.of(RUNS, 2), scale.of(FEWER, 1)
    with TemporaryDirectory() as name:
        works = _in_batches(Path(name), runs), _call_by_call(Path(name), fewer)
        ours, theirs = in_turn(scale, *works, clock=time.perf_counter)
    ours, theirs = ([1000 * one / number for one in each] for each, number in ((ours, runs), (theirs, fewer)))
    yield Figure("tracking", ratios(theirs, ours), target=15)
    yield Figure("tracking/ours", ours, "ms")
    yield Figure("tracking/call-by-call", theirs, "ms")


def _in_batches(folder: Path, runs: int) -> Work:
    """As a run of the pipeline records its students: tracker, records, and waiting until MLflow has them all."""
    keys = map(str, count())

    def work() -> None:
        tracker = Tracker(_database(folder / "batches.db"), "bench", folder)
        for key in islice(keys, runs):
            tracker.record(RunRecord(key, None, f"run {key}", params=PARAMS, metrics=METRICS))
        delivery = tracker.close()
        assert not delivery.waiting, delivery.error

    return work


def _call_by_call(folder: Path, runs: int) -> Work:
    """As MLflow's introduction shows it."""
    import mlflow

    def work() -> None:
        mlflow.set_tracking_uri(_database(folder / "calls.db"))
        mlflow.set_experiment("bench")
        for _ in range(runs):
            with mlflow.start_run():
                for name, value in PARAMS.items():
                    mlflow.log_param(name, value)
                for name, value in METRICS.items():
                    mlflow.log_metric(name, value)

    return work


def _database(path: Path) -> str:
    return f"sqlite:///{path}"
