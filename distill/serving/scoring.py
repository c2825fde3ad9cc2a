"""Scoring a table: raw rows from Parquet, scores to Parquet, block by block, in the order of the rows."""

import os
import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from distill.data.kinds import describe
from distill.data.streamed import RawRows, ids, names, scores
from distill.errors import DataError, Fault, RecipeError, listed, nearest, suggestion
from distill.progress import Progress
from distill.serving.exports import Exports
from distill.serving.graph import Said

BLOCK = 1 << 16
"""Rows that one thread scores at once."""


FEW = 5
"""Most verticals that a message names."""

WRITTEN = {"whole numbers": r"-?\d+", "true and false": "true|false"}
"""How the name of a vertical looks that is of such a column."""


class Outcome(NamedTuple):
    """What has been scored.

    Attributes:
        rows: rows that were read.
        unscored: those whose vertical has no student; their scores are null.
    """

    rows: int
    unscored: int


def score(exports: Exports, data: Path, to: Path, progress: Progress, threads: int | None = None) -> Outcome:
    """Scores every row of a Parquet file; memory does not grow with their number.

    Args:
        exports: the students.
        data: raw rows. Where it has the column of verticals, each row goes to the student of its own.
        to: the file to write: `row_id`, `logit` and `probability`, or `logit_<task>` where there are several tasks.
        progress: told of every block, and warned where no row has a student.
        threads: how many score blocks at once; as many as there are cores where none is given.

    Raises:
        DataError: the rows cannot be read, or do not hold what the students know.
        RecipeError: there are several students, and no column says whose each row is; or `to` is there already, or is
            not named as Parquet is.
        StoreError: `to` cannot be made.
    """
    torch.set_num_threads(1)  # Blocks are what runs at once.
    raw = RawRows(data)
    vertical = _vertical(exports, raw)
    row_id = exports.settings.row_id if exports.settings.row_id in raw.columns else None
    wanted = dict.fromkeys([*exports.columns(raw.columns), *filter(None, (vertical, row_id))])
    raw.require(list(wanted))
    rows, unscored, strange = 0, 0, dict[str, None]()
    with scores(to, exports.tasks) as out, progress.stage("score", raw.rows) as bar:
        work = lambda frame, first: _scored(exports, frame, vertical, str(data), first)  # noqa: E731
        for frame, said in _in_order(raw.blocks(list(wanted), BLOCK), work, threads or os.cpu_count() or 1):
            out.add(ids(frame, row_id, rows), said.logit, said.probability)
            rows, unscored = rows + len(frame), unscored + int(np.isnan(said.logit[:, 0]).sum())
            if vertical is not None and unscored == rows:
                strange |= dict.fromkeys(names(frame, vertical).drop_nulls().unique(maintain_order=True))
            bar.advance(len(frame))
    if vertical is not None and 0 < rows == unscored:
        progress.note(f"warning: {_nobody(exports, f'{data}: column `{vertical}`', list(strange))}")
    return Outcome(rows, unscored)


def _vertical(exports: Exports, raw: RawRows) -> str | None:
    """The column that says whose a row is; None where there is none and one student scores them all."""
    column, known = exports.settings.vertical, sorted(exports.students)
    if column in raw.columns:
        held = describe(raw.none[column].dtype)
        if held in ("whole numbers", "true and false") and not any(re.fullmatch(WRITTEN[held], one) for one in known):
            what = f"holds {held}, where the students are of names: {listed(known, FEW)}."
            raise DataError(Fault(f"{raw.path}: column `{column}`", what, "Give the names that training had."))
        return column
    if len(known) > 1:
        what = f"has no column `{column}`, which says whose of {len(known)} students a row is."
        raise RecipeError(Fault(str(raw.path), what, "Give the folder of one student, or add the column."))
    return None


def _nobody(exports: Exports, where: str, strange: list[str]) -> Fault:
    """That no row has a student: the verticals that were given, and the one that was probably meant."""
    known = sorted(exports.students)
    if not strange:
        return Fault(where, "holds nothing but null: no row could be scored.", f"Valid: {listed(known, FEW)}.")
    meant = next((one for one in strange[:FEW] if nearest(one, known)), strange[0])
    what = f"holds {listed(strange, FEW)}, of which none has a student: no row could be scored."
    return Fault(where, what, suggestion(meant, known, FEW))


def _scored(exports: Exports, frame: Any, vertical: str | None, name: str, first: int) -> Said:
    return exports.score(frame, None if vertical is None else names(frame, vertical), name, first)


def _in_order(frames: Iterator[Any], work: Any, threads: int) -> Iterator[tuple[Any, Said]]:
    """Each frame with what comes of it; a few are worked on at once, and no more than that are in memory."""
    waiting: deque[tuple[Any, Future[Said]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        first = 0
        for frame in frames:
            waiting.append((frame, pool.submit(work, frame, first)))
            first += len(frame)
            if len(waiting) > 2 * threads:
                done, said = waiting.popleft()
                yield done, said.result()
        while waiting:
            done, said = waiting.popleft()
            yield done, said.result()
