"""serve: what an exported student costs to ask, to keep and to start."""

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from distill.bench import memory
from distill.bench.children import command, ended
from distill.bench.figure import Figure
from distill.bench.impressions import SMALL, generated
from distill.bench.latency import laid_down, latencies
from distill.bench.rounds import Scale, cpu_seconds, seconds_of
from distill.data.streamed import RawRows
from distill.progress import Progress
from distill.recipe.sections import Model
from distill.serving import Export, Exports, Format
from distill.serving.scoring import Outcome, score

MEMBERS, ROWS = 200, 2_048
"""Students that are loaded together, and the rows of each."""

KINDS: tuple[Format, ...] = ("safetensors", "torch-export", "onnx", "int8-tables", "int8")
"""What runs a student; machine code is left out, since it takes minutes to compile."""

MEBI = 2**20


def measure(scale: Scale) -> Iterator[Figure]:
    """A small DNN: 12 ids of 1,000 values, 3 numbers, embeddings of 8, hidden layers 64-32; and 200 of them."""
    with TemporaryDirectory() as name:
        folder, shape = Path(name), SMALL.at(scale)
        impressions = generated(shape, scale.of(MEMBERS, 2), scale.of(ROWS, 64), folder)
        model = Model(path="students.DNN", hidden=shape.hidden)
        exports = [laid_down(model, impressions, one, folder / "all") for one in impressions.verticals]
        yield from latencies("serve", exports[0], impressions, KINDS, scale)
        student = Export(exports[0])
        yield Figure("serve/disk", [student.size / MEBI], "MiB")
        yield from _throughputs(student, folder, scale)
        ask = command("distill.bench.asked_once", exports[0], folder / "impressions.parquet")
        starts = [seconds_of(lambda: ended(ask, folder), time.perf_counter) for _ in range(scale.rounds)]
        yield Figure("serve/cold-start", starts, "s")
        reason = "" if memory.known() else memory.UNKNOWN
        values = [] if reason else [_memory(folder / "all")]
        yield Figure("serve/memory-of-all", values, "MiB", target=500, bound="at most", reason=reason)
        yield from _scored(folder, scale)


def _throughputs(student: Export, folder: Path, scale: Scale) -> Iterator[Figure]:
    """Rows per CPU second of one core, from raw columns and from features."""
    frame = next(RawRows(folder / "impressions.parquet").blocks(list(student.columns()), 1 << 16))
    features = student.read(frame)
    for name, work in (("raw", lambda: student.score(frame)), ("features", lambda: student.say(features))):
        work()
        seconds = [seconds_of(work, cpu_seconds) for _ in range(scale.rounds)]
        yield Figure(f"serve/rows-of-{name}", [len(frame) / one for one in seconds], "rows/s")


def _memory(folder: Path) -> float:
    """Mebibytes by which this process grows while all students are loaded and kept. Its peak says nothing: an earlier
    figure may have had more in memory."""
    before = memory.resident()
    kept = Exports(folder)
    assert kept.students
    return (memory.resident() - before) / MEBI


def _scored(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Rows per second of the wall clock that `distill score` reads, scores and writes on all cores."""
    table, rates = (
        folder / "impressions.parquet",
        {"one": Exports(folder / "all" / "v0000"), "all": Exports(folder / "all")},
    )
    for name, exports in rates.items():
        if name == "one":
            exports.settings = exports.settings.model_copy(update={"vertical": "nobody"})  # every row is its own
        work = lambda exports=exports: _score(exports, table, folder / "scores.parquet")  # noqa: E731
        rows = work().rows
        seconds = [seconds_of(work, time.perf_counter) for _ in range(scale.rounds)]
        yield Figure(f"serve/score-by-{name}", [rows / one for one in seconds], "rows/s", 500_000)


def _score(exports: Exports, table: Path, to: Path) -> Outcome:
    to.unlink(missing_ok=True)  # Nobody's file is overwritten.
    return score(exports, table, to, Progress())
