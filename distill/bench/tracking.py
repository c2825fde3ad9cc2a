"""tracking: one batch a run against one call a number, in MLflow; and how soon a leaderboard is back from there."""

import json
import time
from collections.abc import Iterator
from io import StringIO
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console

from distill.bench.figure import Figure
from distill.bench.rounds import Scale, Work, in_turn, ratios, seconds_of
from distill.recipe.outcome import Evidence
from distill.report import Entry, Outcomes, Results, render
from distill.report import leaderboard as judged
from distill.tracking import RunRecord, Tracker
from distill.tracking.recorded import leaderboard as recorded_leaderboard

RUNS, FEWER = 40, 4
"""Runs of a round: ours, and call by call, as those take so long."""

PARAMS = {f"param_{number}": number for number in range(30)}
VERTICALS, ROWS = 500, 40
"""Of the leaderboard, with two arms each."""

METRICS = {f"metric_{number}": number / 60 for number in range(60)}


def measure(scale: Scale) -> Iterator[Figure]:
    """Milliseconds of the wall clock a run of 30 parameters and 60 metrics, in a database that is there already."""
    runs, fewer = scale.of(RUNS, 2), scale.of(FEWER, 1)
    with TemporaryDirectory() as name:
        works = _in_batches(Path(name), runs), _call_by_call(Path(name), fewer)
        ours, theirs = in_turn(scale, *works, clock=time.perf_counter)
        leaderboard = _leaderboard(Path(name), scale)
    ours, theirs = ([1000 * one / number for one in each] for each, number in ((ours, runs), (theirs, fewer)))
    yield Figure("tracking", ratios(theirs, ours), target=15)
    yield Figure("tracking/ours", ours, "ms")
    yield Figure("tracking/call-by-call", theirs, "ms")
    yield leaderboard


def _leaderboard(folder: Path, scale: Scale) -> Figure:
    """Seconds of the wall clock from the id of a run to its leaderboard on a terminal; after imports."""
    table = judged(_results(scale.of(VERTICALS, 2)), Evidence(resamples=200))
    uri = _database(folder / "batches.db")
    tracker = Tracker(uri, "bench", folder)
    tracker.record(RunRecord("board", None, "board", artifacts={"leaderboard.json": json.dumps(table, indent=1)}))
    tracker.close()
    run_id = tracker.run_ids()["board"]
    console = Console(file=StringIO(), width=160)
    work = lambda: console.print(render(recorded_leaderboard(run_id, uri)))  # noqa: E731
    seconds = [seconds_of(work, time.perf_counter) for _ in range(scale.rounds)]
    return Figure("tracking/leaderboard", seconds, "s", 2, "at most")


def _results(verticals: int) -> Results:
    """A student and its control in each vertical, with a teacher that is nearly right."""
    draw = np.random.default_rng(0)
    outcomes, entries = {}, []
    for number in range(verticals):
        name, truth = f"vertical {number}", draw.normal(size=(ROWS, 1))
        label = (draw.random((ROWS, 1)) < 1 / (1 + np.exp(-truth))).astype(np.float32)
        cluster, every = np.arange(ROWS) + ROWS * number, np.ones(ROWS, dtype=bool)
        outcomes[name] = Outcomes(label, every[:, None], np.ones(ROWS), cluster, truth.astype(np.float32), every)
        for arm, noise in (("distilled", 0.3), ("control", 0.6)):
            logit = (truth + noise * draw.normal(size=(ROWS, 1))).astype(np.float32)
            twin = f"{name}/control/0" if arm == "distilled" else None
            said = Entry(f"{name}/{arm}/0", name, None, arm, twin, 0, {}, "DNN", "teacher", "time_ahead", ROWS, logit)
            entries.append(said)
    return Results("bench", "0", {}, ("click",), outcomes, entries)


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
