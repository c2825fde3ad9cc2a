"""What several tests have at hand: a small log, a table of knowledge that nobody trained, and who equals whom."""

from pathlib import Path

import numpy as np
import polars as pl
import torch

from distill.data.impressions import Impressions
from distill.data.settings import World
from distill.data.synthetic import generate
from distill.knowledge import Knowledge, KnowledgeStore, Manifest
from distill.training import Student
from distill.types import Prediction


def small_log(rows: int = 2400) -> pl.DataFrame:
    """Six days of four verticals in two domains."""
    return generate(World(verticals=4, domains=2, users=60, items=40, rows=rows, days=6))


def written(
    impressions: Impressions,
    folder: Path,
    logit: float = 0.0,
    said: np.ndarray | None = None,
    scored: np.ndarray | None = None,
) -> Knowledge:
    """A table in which every row has the same log-odds; with representations where given, and of the rows `scored`."""
    facts = {"data": impressions.fingerprint, "rows": impressions.rows, "tasks": impressions.tasks}
    words = {"fingerprint": "c0ffee", "teacher": "constant", "view": "none", "row_id": "position", "kind": "unknown"}
    said = np.zeros((impressions.rows, 0)) if said is None else said
    writer = KnowledgeStore(folder).writer(Manifest(**facts, **words, width=said.shape[1], cut_off=None))
    rows = np.arange(impressions.rows) if scored is None else np.flatnonzero(scored)
    writer.add(rows, Prediction(torch.full((len(rows), 1), logit), torch.from_numpy(said[rows]).float()))
    writer.commit()
    return writer.finish({})


def same(ours: list[Student], theirs: list[Student]) -> bool:
    """The same members with the same scores and losses, to the bit."""
    return all(
        one.member == other.member and np.array_equal(one.logit, other.logit) and one.losses == other.losses
        for one, other in zip(ours, theirs, strict=True)
    )
