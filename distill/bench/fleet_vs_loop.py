"""fleet-vs-loop: our training against the best loop over single students."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from distill.bench.figure import Figure
from distill.bench.impressions import MEDIUM, SMALL, Shape
from distill.bench.job import Job, job, train_together
from distill.bench.loop import train_singly
from distill.bench.rounds import Scale, in_turn, ratios
from distill.bench.rows import rows_of
from distill.training import STEP_ROWS


class Case(NamedTuple):
    """One comparison, of as many students as a run would put into one stack.

    Attributes:
        name: of the figure.
        student: class path.
        shape: of impressions and students.
        batch: rows of a step of one student.
        rows: training rows of one student.
        target: what ours should reach.
    """

    name: str
    student: str
    shape: Shape
    batch: int
    rows: int
    target: float

    def job(self, scale: Scale, folder: Path) -> Job:
        """The students of it, on impressions written below `folder`."""
        batch, members, rows = scale.of(self.batch, 8), scale.of(STEP_ROWS // self.batch, 2), scale.of(self.rows, 32)
        return job(self.student, self.shape.at(scale), batch, members, rows, folder)


CASES = (
    Case("deepfm-1024", "students.DeepFM", SMALL, 1024, 20_480, target=3),
    Case("deepfm-128", "students.DeepFM", SMALL, 128, 4_096, target=6),
    Case("dcnv2-1024", "students.DCNv2", SMALL, 1024, 20_480, target=2),
    Case("dcnv2-128", "students.DCNv2", SMALL, 128, 4_096, target=4),
    Case("deepfm-m-1024", "students.DeepFM", MEDIUM, 1024, 20_480, target=2),
)


def measure(scale: Scale) -> Iterator[Figure]:
    """Rows per CPU second, ours over theirs: the same rows and labels, as many students, one thread."""
    for case in CASES:
        with TemporaryDirectory() as folder:
            yield Figure(
                f"fleet-vs-loop/{case.name}", _compared(case.job(scale, Path(folder)), scale), target=case.target
            )


def _compared(job: Job, scale: Scale) -> list[float]:
    rows = [own.in_one_table() for own in rows_of(job.impressions)]
    ours, theirs = in_turn(scale, lambda: train_together(job), lambda: train_singly(job, rows))
    return ratios(theirs, ours)
