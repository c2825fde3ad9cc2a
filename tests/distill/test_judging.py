"""What is resampled: users, else days where there are enough of them, else rows."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from distill import judging
from distill.data.impressions import TEST


def impressions(days: int, user: np.ndarray | None = None, timed: bool = True) -> SimpleNamespace:
    """Two hundred test rows spread over some days, in seconds."""
    rows = 200
    time = np.arange(rows) * (days * judging.DAY / rows)
    source = SimpleNamespace(kinds=lambda column: [pl.Float64()])
    return SimpleNamespace(
        rows=rows,
        user=user,
        time=time if timed else None,
        settings=SimpleNamespace(time="time" if timed else None),
        source=source,
        select=lambda split: np.arange(rows) if split == TEST else np.zeros(0, dtype=np.int64),
    )


def test_users_come_first() -> None:
    users = np.arange(200) % 7
    assert judging.clusters_of(impressions(60, users)).tolist() == users.tolist()


def test_days_where_there_is_no_user_and_there_are_thirty() -> None:
    assert len(np.unique(judging.clusters_of(impressions(40)))) == 40


@pytest.mark.parametrize(("days", "timed"), [(1, True), (29, True), (40, False)])
def test_rows_where_days_are_few_or_unknown(days: int, timed: bool) -> None:
    assert judging.clusters_of(impressions(days, timed=timed)).tolist() == list(range(200))
