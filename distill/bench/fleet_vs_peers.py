"""fleet-vs-peers: our training against other toolkits, per further student."""

from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from distill.bench.figure import Figure
from distill.bench.impressions import SMALL
from distill.bench.job import Job, job, train_together
from distill.bench.peers import deepctr, distillation, fuxi
from distill.bench.rounds import Scale, Work, in_turn, ratios
from distill.bench.rows import Rows, rows_of

MEMBERS, ROWS, BATCH = 10, 51_200, 1024


class Peer(NamedTuple):
    """Another toolkit.

    Attributes:
        name: what it is called, with the version that was measured first.
        further_student: makes the work of training one student.
        target: how many times cheaper ours should be.
    """

    name: str
    further_student: Callable[[Job, Rows, Path], Work]
    target: float


PEERS = (
    Peer("fuxictr", fuxi.further_student, target=6),
    Peer("deepctr-torch", deepctr.further_student, target=8),
    Peer("torchdistill", distillation.further_student, target=6),
)


def measure(scale: Scale) -> Iterator[Figure]:
    """CPU seconds of one more student, theirs over ours: imports and first calls went before, on either side."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        members, rows = scale.of(MEMBERS, 2), scale.of(ROWS, 32)
        work = job("students.DeepFM", SMALL.at(scale), scale.of(BATCH, 8), members, rows, folder)
        works, reasons = _works(work, folder)
        ours, *theirs = in_turn(scale, lambda: train_together(work), *works.values())
        each = [seconds / members for seconds in ours]
        costs = dict(zip(works, theirs, strict=True))
    for peer in PEERS:
        values = ratios(costs[peer.name], each) if peer.name in costs else []
        yield Figure(f"fleet-vs-peers/{peer.name}", values, target=peer.target, reason=reasons.get(peer.name, ""))


def _works(job: Job, folder: Path) -> tuple[dict[str, Work], dict[str, str]]:
    """The work of each peer that can be imported, and why the others cannot."""
    works, reasons, rows = {}, {}, rows_of(job.impressions)[0]
    for peer in PEERS:
        own = folder / peer.name
        own.mkdir()
        try:
            works[peer.name] = _silent(peer.further_student(job, rows, own))
        except (ImportError, RuntimeError) as error:  # RuntimeError: a torchvision that was built for another torch.
            reasons[peer.name] = f"cannot be imported: {error}"
    return works, reasons


def _silent(work: Work) -> Work:
    def silent() -> None:
        with redirect_stdout(StringIO()):
            work()

    return silent
