"""fleet-vs-limit: our training against the sum of its own primitives, each timed alone."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from distill.bench.figure import Figure
from distill.bench.fleet_vs_loop import CASES
from distill.bench.job import Job, train_together
from distill.bench.primitives import primitives
from distill.bench.rounds import Scale, in_turn, ratios
from distill.bench.sizes import multiplications

NAMES = ("deepfm-1024", "dcnv2-1024")
"""Those of `fleet-vs-loop` whose tables are stepped as a whole; to step the rows that were read is no primitive."""

SIDE = 2048
"""Of the square matrices whose product is the machine's peak."""


def measure(scale: Scale) -> Iterator[Figure]:
    """CPU seconds of the primitives over those of training; and our multiplications a second over the peak."""
    for case in CASES:
        if case.name in NAMES:
            with TemporaryDirectory() as folder:
                yield from _compared(f"fleet-vs-limit/{case.name}", case.job(scale, Path(folder)), scale)


def _compared(name: str, job: Job, scale: Scale) -> Iterator[Figure]:
    square = torch.randn(scale.of(SIDE, 8), scale.of(SIDE, 8))
    parts = primitives(job)
    ours, peak, *alone = in_turn(scale, lambda: train_together(job), lambda: square @ square, *parts.values())
    yield Figure(name, ratios([sum(parts) for parts in zip(*alone, strict=True)], ours), target=0.8)
    for part, seconds in zip(parts, alone, strict=True):
        yield Figure(f"{name}/{part}", ratios(seconds, ours))
    # Forwards once; backwards twice, to the inputs and to the weights.
    times_square = 3 * job.rows * multiplications(job.alone()) / len(square) ** 3
    yield Figure(f"{name}/gemm-peak", [times_square * seconds for seconds in ratios(peak, ours)])
