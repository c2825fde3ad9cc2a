"""Proving: every export is run again on the rows that its student was judged on, and must say the same of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils._pytree import tree_leaves

from distill.data.impressions import TEST, View
from distill.data.vectors import beside
from distill.errors import ExportError, Fault
from distill.export.finding import Found, Run
from distill.export.judging import entropy_of
from distill.feed import CHUNK
from distill.inputs import layers
from distill.serving.export import Export
from distill.serving.manifest import CACHES, ROUNDED, Format

TOLERANCE = 1e-6
"""Largest difference of a probability, in fp32, between what was judged and what is served."""

ROUNDING = 0.01
"""Most that eight bits may cost of NE on the test rows. A sound student loses less than 0.002, and what a teacher gives
is often no more than this."""

REFUSED = "Nothing was exported; leave this format out."

BLOCK = 1 << 17
"""Raw rows that are read at once."""


class Difference(NamedTuple):
    """How far an export is from what was judged.

    Attributes:
        probability: largest difference of a probability.
        logit: largest difference of log-odds.
        identical: whether every bit is the same.
    """

    probability: float
    logit: float
    identical: bool


def proven(run: Run, student: Found, export: Export, kind: Format) -> Difference:
    """Runs an export on all test rows of its vertical.

    Raises:
        ExportError: it says something else than its student said.
    """
    rows = run.impressions.select(TEST, student.member.vertical)
    chunks = [rows[first : first + CHUNK] for first in range(0, len(rows), CHUNK)]
    said = [export.say(student.view.take(torch.from_numpy(chunk)).features) for chunk in chunks]
    if not said:
        return Difference(0.0, 0.0, True)
    logit, probability = (torch.cat(tensors).numpy() for tensors in zip(*said, strict=True))
    meant = torch.from_numpy(student.logit).sigmoid().numpy()
    worst = float(np.abs(probability - meant).max())
    if not worst <= TOLERANCE and kind not in ROUNDED:
        what = f"as {kind} differs from its evaluation by {worst:.2g}, where {TOLERANCE:g} is allowed."
        raise ExportError(Fault(student.lineage.member, what, "It was not exported."))
    identical = np.array_equal(logit, student.logit)
    return Difference(worst, float(np.abs(logit - student.logit).max()), identical)


def cost_of_rounding(run: Run, student: Found, export: Export, kind: Format) -> dict[str, float | None]:
    """NE on test rows of a student in eight bits, and how much of it is the rounding's; None without both labels.

    The rows are scored twice: a program that reads memory which nobody has written seldom says the same again.

    Raises:
        ExportError: it costs more than `ROUNDING`, is not finite, or not the same each time.
    """
    rows = run.impressions.select(TEST, student.member.vertical)
    features = student.view.take(torch.from_numpy(rows)).features
    said, again = (export.say(features).logit for _ in range(2))
    ne, before = (entropy_of(run.impressions, rows, logit) for logit in (said, torch.from_numpy(student.logit)))
    cost = None if ne is None or before is None else ne - before
    wrong = None
    if not said.isfinite().all():
        wrong = "gives numbers that are not finite."
    elif not torch.equal(said, again):
        wrong = "says something else of the same rows when it is asked again."
    elif cost is not None and not cost <= ROUNDING:
        wrong = f"costs {cost:.3g} of NE on its test rows ({before:.4g} before), where {ROUNDING:g} is allowed."
    if wrong is not None:
        raise ExportError(Fault(f"{student.lineage.member} as {kind}", wrong, REFUSED))
    return {"ne": ne, "ne_cost": cost}


def read_alike(run: Run, students: Sequence[Found], exports: Sequence[Export]) -> None:
    """Reads the raw test rows of every student through its export, and compares with what the student saw.

    Raises:
        ExportError: some feature of a row is another one.
    """
    held = [run.impressions.select(TEST, student.member.vertical) for student in students]
    source = run.impressions.source
    columns = dict.fromkeys(column for export in exports for column in export.preprocessor.columns)
    raw = [column for column in columns if column not in CACHES]
    cuts = source.cuts(BLOCK)
    for cut, frame in zip(cuts, source.read(raw, cuts), strict=True):
        for student, export, rows in zip(students, exports, held, strict=True):
            ours = rows[np.searchsorted(rows, cut.start) : np.searchsorted(rows, cut.start + cut.rows)]
            if len(ours):
                given = _with_vectors(frame[ours - cut.start], student.view, ours)
                seen = student.view.take(torch.from_numpy(ours)).features
                _require_same(export.read(given, source.name, ours), seen, student)


def _with_vectors(frame: Any, view: View, rows: np.ndarray) -> Any:
    """Raw rows with what the teacher says of their users, where students see that."""
    for name, layer in layers(view).items():
        said, covered = layer.vectors.take(torch.from_numpy(rows))
        frame = beside(frame, name, said.representation.numpy(), covered.numpy())
    return frame


def _require_same(read: Any, seen: Any, student: Found) -> None:
    pairs = zip(tree_leaves(tuple(read)), tree_leaves(tuple(seen)), strict=True)
    if not all(one.dtype == other.dtype and torch.equal(one, other) for one, other in pairs):
        what = "reads its raw columns otherwise than when it was trained."
        raise ExportError(Fault(student.lineage.member, what, "It was not exported."))
