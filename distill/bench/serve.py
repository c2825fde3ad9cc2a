"""serve: what an exported student costs to ask, to keep and to start."""

import resource
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from distill.bench.children import command, ended
from distill.bench.figure import Figure
from distill.bench.impressions import SMALL, Shape, generated
from distill.bench.rounds import Scale, cpu_seconds, seconds_of
from distill.data.impressions import TRAIN, Impressions
from distill.data.streamed import RawRows
from distill.errors import ExportError
from distill.export import lay_down
from distill.export.formats import write
from distill.progress import Progress
from distill.recipe.sections import Model
from distill.serving import Export, Exports, Format
from distill.serving.manifest import Lineage, seal
from distill.serving.scoring import score

MEMBERS, ROWS, CALLS = 200, 2_048, 2_000
"""Students that are loaded together, the rows of each, and the calls of which a latency is the median."""

KINDS: dict[str, Format] = {"eager": "safetensors", "torch-export": "torch-export", "onnx": "onnx"}
"""What runs a student -> the format that it runs."""

MICRO, MEBI = 1e6, 2**20


def measure(scale: Scale) -> Iterator[Figure]:
    """A small DNN: 12 ids of 1,000 values, 3 numbers, embeddings of 8, hidden layers 64-32; and 200 of them."""
    with TemporaryDirectory() as name:
        folder, shape = Path(name), SMALL.at(scale)
        impressions = generated(shape, scale.of(MEMBERS, 2), scale.of(ROWS, 64), folder)
        exports = [_exported(shape, impressions, vertical, folder / "all") for vertical in impressions.verticals]
        yield from _latencies(exports[0], impressions, scale)
        student = Export(exports[0])
        yield Figure("serve/disk", [student.size / MEBI], "MiB")
        yield from _throughputs(student, folder, scale)
        ask = command("distill.bench.asked_once", exports[0], folder / "impressions.parquet")
        starts = [seconds_of(lambda: ended(ask, folder), time.perf_counter) for _ in range(scale.rounds)]
        yield Figure("serve/cold-start", starts, "s")
        yield Figure("serve/memory-of-all", [_memory(folder / "all")], "MiB", target=500, bound="at most")
        yield from _scored(folder, scale)


def _exported(shape: Shape, impressions: Impressions, vertical: str, folder: Path) -> Path:
    """A student with random weights, which cost as much as any, laid down as an export is."""
    view, model = impressions.view(None, "vertical"), Model(path="students.DNN", hidden=shape.hidden)
    names = ("recipe", "fingerprint", "member", "student", "teacher", "knowledge", "knowledge_kind", "data")
    lineage = Lineage(vertical=vertical, domain=None, arm="control", **dict.fromkeys(names, "bench"))
    target = folder / vertical
    target.mkdir(parents=True)
    lay_down(target, model, impressions, view, lineage, model.build(view.schema(vertical)).state_dict())
    return target


def _latencies(folder: Path, impressions: Impressions, scale: Scale) -> Iterator[Figure]:
    """Microseconds of the wall clock from features to probabilities, of one impression and of 100 candidates."""
    view = impressions.view(None, "vertical")
    features = view.take(torch.from_numpy(impressions.select(TRAIN, impressions.verticals[0])[:100])).features
    hundred = Export(folder).graph.inputs(features)
    one = type(hundred)(*(part[:1] if isinstance(part, torch.Tensor) else part for part in hundred))
    for name, kind in KINDS.items():
        try:
            write(kind, Export(folder).graph, hundred, folder)
            seal(folder, Export(folder).manifest)
            run = Export(folder, kind).run
        except ExportError as error:
            yield Figure(f"serve/{name}/1-p50", [], "us", reason=str(error))
            continue
        for rows, inputs in ((1, one), (100, hundred)):
            rounds = [
                _timed(lambda run=run, inputs=inputs: run(inputs), scale.of(CALLS, 5)) for _ in range(scale.rounds)
            ]
            target = 100 if (name, rows) == ("onnx", 1) else None
            middle, late = ([float(np.percentile(times, share)) for times in rounds] for share in (50, 99))
            yield Figure(f"serve/{name}/{rows}-p50", middle, "us", target, "at most")
            yield Figure(f"serve/{name}/{rows}-p99", late, "us")


@torch.no_grad()
def _timed(call: Callable[[], object], calls: int) -> Sequence[float]:
    """Microseconds of each call, after some that are not counted."""
    for _ in range(calls // 10 + 1):
        call()
    return [seconds_of(call, time.perf_counter) * MICRO for _ in range(calls)]


def _throughputs(student: Export, folder: Path, scale: Scale) -> Iterator[Figure]:
    """Rows per CPU second of one core, from raw columns and from features."""
    frame = next(RawRows(folder / "impressions.parquet").blocks(list(student.columns()), 1 << 16))
    features = student.read(frame)
    for name, work in (("raw", lambda: student.score(frame)), ("features", lambda: student.say(features))):
        work()
        seconds = [seconds_of(work, cpu_seconds) for _ in range(scale.rounds)]
        yield Figure(f"serve/rows-of-{name}", [len(frame) / one for one in seconds], "rows/s")


def _memory(folder: Path) -> float:
    """Mebibytes by which the peak of this process grows while all students are loaded and kept."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kept = Exports(folder)
    assert kept.students
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def _scored(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Rows per second of the wall clock that `distill score` reads, scores and writes on all cores."""
    table, rates = (
        folder / "impressions.parquet",
        {"one": Exports(folder / "all" / "v0000"), "all": Exports(folder / "all")},
    )
    for name, exports in rates.items():
        if name == "one":
            exports.settings = exports.settings.model_copy(update={"vertical": "nobody"})  # every row is its own
        work = lambda exports=exports: score(exports, table, folder / "scores.parquet", Progress())  # noqa: E731
        rows = work().rows
        seconds = [seconds_of(work, time.perf_counter) for _ in range(scale.rounds)]
        yield Figure(f"serve/score-by-{name}", [rows / one for one in seconds], "rows/s", 500_000)
