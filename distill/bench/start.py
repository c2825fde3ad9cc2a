"""start: from the command to the first step of training."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from distill.bench.children import ENVIRONMENT, command, ended
from distill.bench.figure import Figure
from distill.bench.first_step import STEPPED
from distill.bench.rounds import Scale


class Seconds(NamedTuple):
    """Wall seconds from the command until something was said."""

    line: float
    step: float


def measure(scale: Scale) -> Iterator[Figure]:
    """Wall seconds of `distill run` on the shipped quickstart, in a store that is not there yet."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        ended(command("distill.cli", "recipes", "cp", "quickstart"), folder)
        _, *started = [_started(folder) for _ in range(1 + scale.rounds)]
    yield Figure("start/first-line", [seconds.line for seconds in started], "s", 3, "at most")
    yield Figure("start/first-step", [seconds.step for seconds in started], "s")


def _started(folder: Path) -> Seconds:
    """Starts a run, and stops it at its first step."""
    shutil.rmtree(folder / "mlruns", ignore_errors=True)
    words = command("distill.bench.first_step", "run", "quickstart.yaml")
    line, start = None, time.monotonic()
    with subprocess.Popen(words, cwd=folder, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as process:
        for said in process.stderr:
            line = line or time.monotonic() - start
            if said.strip() == STEPPED:
                step = time.monotonic() - start
                process.kill()
                return Seconds(line, step)
    raise RuntimeError("the quickstart ended before its first step")
