"""Running: the teachers of a sweep trained and judged, from what is already done."""

import torch

from distill.contest.contenders import contenders
from distill.contest.recording import record
from distill.contest.table import Table, table
from distill.learner import accelerator
from distill.pipeline import experiment
from distill.progress import Progress
from distill.store import Store
from distill.sweep import Sweep
from distill.tracking import open_tracker


def run(sweep: Sweep, progress: Progress, seeds: int = 1, *, trees: bool = False) -> Table:
    """Trains every teacher of a sweep that is not there yet, and sets them side by side. No student is trained.

    Args:
        sweep: whose points are the teachers; the others are compared with the first.
        progress: told of every stage.
        seeds: teachers a point, which differ in their seed.
        trees: whether gradient-boosted trees on the same features take part.

    Returns:
        The table.

    Raises:
        DistillError: the data, the store or the machine are not what a recipe says, or a teacher lives elsewhere.
    """
    torch.set_num_threads(1)  # A second thread waits for the first more often than it helps.
    base = sweep.base
    accelerator(base.trainer.device)
    store = Store(base.store)
    with store.alone(lambda: progress.note(f"Another run is using {store.root}; waiting for it.")):
        each = contenders(sweep, seeds, store, progress, trees=trees)
        with progress.stage("evidence"):
            found = table(sweep.name, each, base.evidence)
        with progress.stage("tracking"), open_tracker(base.tracking.uri, experiment(base), base.store) as tracker:
            record(sweep, found, each, tracker)
            waiting = tracker.close().waiting
        if waiting:
            progress.note(f"warning: {waiting} runs wait to be recorded; the next run sends them.")
    return found | {"took": progress.seconds}
