"""Tables from outside: what a teacher that lives elsewhere said of the rows. Format: docs/knowledge.md."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import torch

from distill.data.impressions import TEST, TRAIN, Impressions
from distill.data.negatives import correction
from distill.errors import DataError, Fault, KnowledgeError, KnowledgeLeak, suggestion
from distill.fingerprint import fingerprint
from distill.knowledge.manifest import Manifest
from distill.knowledge.store import Knowledge, KnowledgeStore
from distill.types import Prediction

FEWEST = 20
"""Rows from which on log-odds that are all between 0 and 1 are no chance."""

LOGITS = "Give natural log-odds: log(p / (1 - p))."
"""What to do about numbers that are none."""

ROW_ID = "row_id"
KINDS = ("time_ahead", "cross_fit", "in_sample", "unknown")


class Statement(NamedTuple):
    """What a table says of itself, in the key-value metadata of the Parquet file.

    Attributes:
        teacher: `distill.teacher`, a name; the file's own where none is given.
        kind: `distill.kind`, how training rows were scored; `unknown` where nothing is said.
        cut_off: `distill.cut_off`, the latest time whose labels the teacher has seen.
        negatives: `distill.negatives`, the share of the rows without a click that its log-odds speak of; they are
            shifted to all rows. 1 where nothing is said.
    """

    teacher: str
    kind: str
    cut_off: float | None
    negatives: float


def import_table(path: Path, impressions: Impressions, store: KnowledgeStore) -> Knowledge:
    """The knowledge in a Parquet file, or in a folder of another store, for these impressions.

    Rows that the table lacks are not covered. Rows of other impressions are left out.

    Args:
        path: Parquet with `row_id`, `logit` (or `logit_<task>` for each task) and perhaps `representation`.
        impressions: the rows that it is about.
        store: where it is kept, in the form that learners read.

    Raises:
        KnowledgeError: the table is not what it should be; every fault is listed.
        KnowledgeLeak: its teacher has seen labels of the test rows.
        KnowledgeMismatch: the folder holds knowledge of other rows.
    """
    if path.is_dir():
        knowledge = _open(path, impressions)
        train = torch.from_numpy(impressions.select(TRAIN))
        if not knowledge.take(train, representation=False).covered.any():
            what = "says nothing of any training row, so there is nothing to learn from it."
            raise KnowledgeError(Fault(str(path), what, "Name the table of a teacher that scored them."))
        return knowledge
    frame, statement = _read(path, impressions.tasks)
    _refuse_leak(path, statement, impressions)
    manifest = _manifest(path, frame, statement, impressions)
    found = store.find(manifest.fingerprint)
    if found is not None:
        return found
    rows = impressions.locate(frame[ROW_ID])
    known = rows >= 0
    if not known.any():
        raise KnowledgeError(Fault(str(path), "none of its row ids is in the data.", f"First: {frame[ROW_ID][0]!r}."))
    writer = store.writer(manifest)
    said = _prediction(frame.filter(pl.Series(known)), impressions.tasks)
    writer.add(rows[known], said._replace(logit=said.logit + correction(statement.negatives)))
    writer.commit()
    return writer.finish({"snapshot": manifest.fingerprint, "left_out": int((~known).sum())})


def table_fingerprint(path: Path, impressions: Impressions) -> str:
    """The fingerprint that the knowledge in a file or a folder has, without reading its rows.

    Args:
        path: as for `import_table`, which has found nothing wrong with it.
        impressions: the rows that it is about.
    """
    if path.is_dir():
        return Knowledge(path).manifest.fingerprint
    statement, _ = _statement(path, pl.read_parquet_metadata(path), impressions.tasks)
    return _fingerprint(path, statement, impressions)


def _fingerprint(path: Path, statement: Statement, impressions: Impressions) -> str:
    with open(path, "rb") as file:
        content = hashlib.file_digest(file, "blake2b").hexdigest()
    return fingerprint(content, statement, impressions.fingerprint)


def _open(folder: Path, impressions: Impressions) -> Knowledge:
    if not (folder / "facts.json").exists():
        raise KnowledgeError(Fault(str(folder), "is not a complete table of knowledge.", "Give a Parquet file."))
    knowledge = Knowledge(folder)
    knowledge.require(data=impressions.fingerprint, tasks=impressions.tasks)
    return knowledge


def _read(path: Path, tasks: tuple[str, ...]) -> tuple[pl.DataFrame, Statement]:
    try:
        frame, said = pl.read_parquet(path), pl.read_parquet_metadata(path)
    except FileNotFoundError:
        raise DataError(Fault(str(path), "does not exist.", "Give teacher.knowledge=FILE.")) from None
    except (pl.exceptions.PolarsError, OSError) as error:
        raise KnowledgeError(Fault(str(path), f"cannot be read as Parquet: {error}.")) from None
    statement, faults = _statement(path, said, tasks)
    faults += _faults(path, frame, tasks)
    if faults:
        raise KnowledgeError(*faults)
    return frame, statement


def _statement(path: Path, said: dict[str, str], tasks: tuple[str, ...]) -> tuple[Statement, list[Fault]]:
    kind = said.get("distill.kind", "unknown")
    cut_off = said.get("distill.cut_off")
    faults = []
    if kind not in KINDS:
        faults.append(Fault(str(path), f'distill.kind is "{kind}".', suggestion(kind, KINDS)))
    stated = tuple(json.loads(said["distill.tasks"])) if "distill.tasks" in said else tasks
    if not set(tasks) <= set(stated):
        faults.append(Fault(str(path), f"speaks of the tasks {', '.join(stated)}, not of {', '.join(tasks)}."))
    negatives = _share(said.get("distill.negatives", "1"))
    if negatives is None:
        told = said["distill.negatives"]
        faults.append(Fault(str(path), f'distill.negatives is "{told}".', "Give a share above 0, at most 1."))
    named = said.get("distill.teacher", path.stem)
    return Statement(named, kind, None if cut_off is None else float(cut_off), negatives or 1.0), faults


def _share(told: str) -> float | None:
    """A number above 0 and at most 1, or None."""
    try:
        return float(told) if 0 < float(told) <= 1 else None
    except ValueError:
        return None


def _logits(columns: list[str], tasks: tuple[str, ...]) -> list[str]:
    each = [f"logit_{task}" for task in tasks]
    return ["logit"] if len(tasks) == 1 and each[0] not in columns else each


def _faults(path: Path, frame: pl.DataFrame, tasks: tuple[str, ...]) -> list[Fault]:
    needed = [ROW_ID, *_logits(frame.columns, tasks)]
    faults = [
        Fault(f"{path}: column `{name}`", "is missing.", suggestion(name, frame.columns))
        for name in needed
        if name not in frame.columns
    ]
    if faults:
        return faults
    if frame.is_empty():
        return [Fault(str(path), "has no rows.")]
    twice = frame[ROW_ID].is_duplicated()
    if twice.any():
        first = frame[ROW_ID].filter(twice)[0]
        faults.append(
            Fault(f"{path}: column `{ROW_ID}`", f"{first!r} stands there more than once.", "Keep one score a row.")
        )
    return (
        faults + [fault for name in needed[1:] for fault in _number_faults(path, frame[name])] + _vectors(path, frame)
    )


def _number_faults(path: Path, column: pl.Series) -> list[Fault]:
    where = f"{path}: column `{column.name}`"
    if not column.dtype.is_numeric():
        return [Fault(where, f"holds {column.dtype}, not numbers.", "Give natural log-odds.")]
    numbers = column.cast(pl.Float64)
    bad = ~numbers.is_finite().fill_null(False)
    if not bad.any():
        shares = len(column) >= FEWEST and bool(numbers.is_between(0, 1).all()) and numbers.n_unique() > 1
        return [Fault(where, "lies between 0 and 1 in every row, as probabilities do.", LOGITS)] if shares else []
    row = int(bad.arg_max())
    return [Fault(f"{where}, row {row}", f"is {column[row]}, not a finite number.", "Leave rows without a score out.")]


def _vectors(path: Path, frame: pl.DataFrame) -> list[Fault]:
    if "representation" not in frame.columns:
        return []
    where, column = f"{path}: column `representation`", frame["representation"]
    if not isinstance(column.dtype, pl.List | pl.Array) or not column.dtype.inner.is_numeric():
        return [Fault(where, f"holds {column.dtype}, not lists of numbers.")]
    lists = column.cast(pl.List(pl.Float64))
    if lists.list.len().n_unique() > 1 or lists.null_count():
        return [Fault(where, "has lists of several lengths.", "Give every row a vector of the same length.")]
    if not lists.explode().is_finite().fill_null(False).all():
        return [Fault(where, "has numbers that are not finite.")]
    return []


def _refuse_leak(path: Path, statement: Statement, impressions: Impressions) -> None:
    test = impressions.select(TEST)
    if statement.cut_off is None or impressions.time is None or not len(test):
        return
    first = float(impressions.time[test].min())
    if statement.cut_off >= first:
        raise KnowledgeLeak(
            Fault(
                str(path),
                f"its teacher has seen labels up to {statement.cut_off:g}, and the test rows begin at {first:g}.",
                "Take scores of an earlier teacher, or test on later rows.",
            )
        )


def _width(frame: pl.DataFrame) -> int:
    if "representation" not in frame.columns:
        return 0
    return len(frame["representation"][0])


def _manifest(path: Path, frame: pl.DataFrame, statement: Statement, impressions: Impressions) -> Manifest:
    return Manifest(
        fingerprint=_fingerprint(path, statement, impressions),
        teacher=statement.teacher,
        data=impressions.fingerprint,
        view="outside",
        row_id=impressions.row_id or "position",
        rows=impressions.rows,
        tasks=impressions.tasks,
        width=_width(frame),
        kind=statement.kind,
        cut_off=statement.cut_off,
        negatives=statement.negatives,
    )


def _prediction(frame: pl.DataFrame, tasks: tuple[str, ...]) -> Prediction:
    logit = frame.select(_logits(frame.columns, tasks)).cast(pl.Float32).to_numpy()
    width = _width(frame)
    hidden = np.array(frame["representation"].to_list(), np.float32) if width else np.zeros((len(frame), 0), np.float32)
    return Prediction(torch.from_numpy(np.array(logit)), torch.from_numpy(hidden))
