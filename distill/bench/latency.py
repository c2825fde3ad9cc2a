"""Latency: what one call of an exported student costs, whatever runs it."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from distill.bench.figure import Figure
from distill.bench.rounds import Scale, seconds_of
from distill.data.impressions import TRAIN, Impressions
from distill.errors import ExportError
from distill.export import lay_down
from distill.export.formats import write
from distill.recipe.sections import Model
from distill.serving import Export, Format
from distill.serving.export import one_row
from distill.serving.manifest import Lineage, seal

CALLS = 2_000
"""Calls of which a latency is the median."""

MICRO = 1e6

TARGET = 100
"""Microseconds that one impression may take in ONNX Runtime."""


def laid_down(model: Model, impressions: Impressions, vertical: str, folder: Path) -> Path:
    """A student with random weights, which cost as much as any, laid down as an export is."""
    view = impressions.view(None, "vertical")
    names = ("recipe", "fingerprint", "member", "student", "teacher", "knowledge", "knowledge_kind", "data")
    lineage = Lineage(vertical=vertical, domain=None, arm="control", **dict.fromkeys(names, "bench"))
    target = folder / vertical
    target.mkdir(parents=True)
    lay_down(target, model, impressions, view, lineage, model.build(view.schema(vertical)).state_dict())
    return target


def latencies(
    name: str, folder: Path, impressions: Impressions, kinds: Sequence[Format], scale: Scale
) -> Iterator[Figure]:
    """Microseconds of the wall clock from features to probabilities, of one impression and of 100 candidates.

    Args:
        name: the benchmark, and what of it.
        folder: of an exported student, which gets the file of each format.
        impressions: with at least 100 rows of its vertical, or as many as there are.
        kinds: the formats.
        scale: says how many calls and rounds.
    """
    student = Export(folder)
    rows = impressions.select(TRAIN, student.vertical)[:100]
    hundred = student.graph.inputs(impressions.view(None, "vertical").take(torch.from_numpy(rows)).features)
    for kind in kinds:
        shown = "eager" if kind == "safetensors" else kind
        try:
            write(kind, student.graph, hundred, folder)
            seal(folder, student.manifest)
            run = Export(folder, kind).run
        except ExportError as error:
            yield Figure(f"{name}/{shown}/1-p50", [], "us", reason=str(error))
            continue
        for count, inputs in ((1, one_row(hundred)), (100, hundred)):
            times = [_timed(lambda run=run, inputs=inputs: run(inputs), scale) for _ in range(scale.rounds)]
            middle, late = ([float(np.percentile(one, share)) for one in times] for share in (50, 99))
            target = TARGET if (kind, count) == ("onnx", 1) else None
            yield Figure(f"{name}/{shown}/{count}-p50", middle, "us", target, "at most")
            yield Figure(f"{name}/{shown}/{count}-p99", late, "us")


@torch.no_grad()
def _timed(call: Callable[[], object], scale: Scale) -> Sequence[float]:
    """Microseconds of each call, after some that are not counted."""
    calls = scale.of(CALLS, 5)
    for _ in range(calls // 10 + 1):
        call()
    return [seconds_of(call, time.perf_counter) * MICRO for _ in range(calls)]
