"""The command `distill`, which also says when the first step of training is done.

A program: `python -m distill.bench.first_step run RECIPE`. Nothing is imported earlier than by the command itself.
"""

import runpy
from collections.abc import Iterator
from contextlib import contextmanager

from distill import progress

STEPPED = "the first step is done"


class Told(progress.Progress):
    """Progress that says when a bar has moved for the first time while something is trained."""

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[progress.Bar]:
        with super().stage(name, total) as bar:
            if name == "teacher":
                bar.advance = self._advance
            yield bar

    def _advance(self, rows: int = 1, text: str = "") -> None:
        if rows:
            self.note(STEPPED)


if __name__ == "__main__":
    progress.Progress = Told
    runpy.run_module("distill.cli", run_name="__main__")
