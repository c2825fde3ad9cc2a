"""What the audit says of scores that came from outside."""

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from distill.auditing import audited
from distill.data.impressions import TEST, TRAIN, VALID
from distill.knowledge import Knowledge, import_table
from tests.distill.conftest import Taught

LEAKS = "warning: that is far better on the rows it labelled, so its scores leak their labels."
TRAINED = "warning: it was trained on the rows it labelled, so its scores leak their labels."
UNSEEN = "warning: without an NE on later rows nothing shows whether its scores leak their labels."


def outside(taught: Taught, folder: Path, logit: np.ndarray, rows: np.ndarray, **said: str) -> Knowledge:
    """A table from elsewhere that has scored some rows."""
    metadata = {f"distill.{key}": value for key, value in said.items()}
    pl.DataFrame({"row_id": rows, "logit": logit[rows]}).write_parquet(folder / "k.parquet", metadata=metadata)
    return import_table(folder / "k.parquet", taught.impressions, taught.store)


def entropy(taught: Taught, split: int) -> float:
    """NE of log-odds of 0: ln 2 a row, over what the rates of the verticals leave open."""
    rows = taught.impressions.select(split)
    label, vertical = taught.impressions.label[rows][:, 0], taught.impressions.vertical[rows]
    rates = [(np.mean(label[vertical == one]), np.sum(vertical == one)) for one in np.unique(vertical)]
    base = sum(-count * (rate * math.log(rate) + (1 - rate) * math.log(1 - rate)) for rate, count in rates)
    return len(rows) * math.log(2) / base


def test_a_table_from_outside_has_its_audit(taught: Taught, tmp_path: Path) -> None:
    every = np.arange(taught.impressions.rows)
    shown = [f"{entropy(taught, split):.4f}" for split in (TRAIN, VALID, TEST)]
    assert audited(outside(taught, tmp_path, np.zeros(len(every)), every), taught.impressions) == [
        f"audit of click: the teacher's NE is {shown[0]} on the rows it labelled (unknown), "
        f"{shown[1]} on validation rows, {shown[2]} on test rows."
    ]


def test_a_table_from_outside_that_knows_its_labels_is_told(taught: Taught, tmp_path: Path) -> None:
    logit = np.zeros(taught.impressions.rows)
    train = taught.impressions.select(TRAIN)
    logit[train] = np.where(taught.impressions.label[train, 0] > 0, 2.0, -2.0)
    every = np.arange(len(logit))
    assert audited(outside(taught, tmp_path, logit, every), taught.impressions)[1:] == [LEAKS]


@pytest.mark.parametrize(("kind", "warning"), [("in_sample", TRAINED), ("unknown", UNSEEN), ("time_ahead", UNSEEN)])
def test_what_no_number_shows_is_said(taught: Taught, tmp_path: Path, kind: str, warning: str) -> None:
    """It scored training rows alone; whether these knew their labels only its own word can say."""
    logit, train = np.zeros(taught.impressions.rows), taught.impressions.select(TRAIN)
    (line, said) = audited(outside(taught, tmp_path, logit, train, kind=kind), taught.impressions, "far's")
    assert line.startswith(
        f"audit of click: far's NE is {entropy(taught, TRAIN):.4f} on the rows it labelled ({kind}), "
    )
    assert line.endswith("undefined on validation rows, undefined on test rows.")
    assert said == warning


def test_a_teacher_of_ours_keeps_the_audit_that_it_was_written_with(taught: Taught) -> None:
    (line,) = audited(taught.knowledge, taught.impressions)
    assert f"{taught.knowledge.facts['audit']['click']['test']:.4f} on test rows" in line
