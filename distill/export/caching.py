"""Caching: the teacher's vector of each user, beside the student that sees it, and what a cache costs that student."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from distill.data.impressions import TEST, TRAIN, VALID, Impressions
from distill.data.vectors import named_users
from distill.export.finding import Found, Run
from distill.export.judging import entropy_of
from distill.inputs import NAME, Inputs
from distill.serving.export import Export
from distill.serving.manifest import USERS, VECTORS

BLOCK = 1 << 17
"""Raw rows that are read at once."""

NOBODY = -1
"""Number of a row that is not there; a view takes it for one without a vector."""


def write_caches(run: Run, folders: Sequence[Path]) -> None:
    """Writes the vectors of all users of each student's vertical, as of the last training or validation row of each.

    Where the recipe names no column of users there is none, and vectors come with the rows.
    """
    column = run.recipe.data.user
    if column is None:
        return
    pairs = [pair for pair in zip(run.students, folders, strict=True) if isinstance(pair[0].view, Inputs)]
    rows = [np.sort(latest(run.impressions, student.member.vertical)) for student, _ in pairs]
    for (student, folder), numbers, users in zip(pairs, rows, _users(run, column, rows), strict=True):
        names, kind = users
        (folder / USERS).write_text(json.dumps({"column": column, "kind": kind, "users": names}, ensure_ascii=False))
        said, _ = student.view.vectors.take(torch.from_numpy(numbers))
        save_file({"vectors": said.representation.half().contiguous()}, folder / VECTORS)  # as the store holds them


def latest(impressions: Impressions, vertical: str) -> NDArray[np.int64]:
    """The last training or validation row of each user of a vertical, in the order of the users' numbers."""
    rows = np.sort(np.concatenate([impressions.select(split, vertical) for split in (TRAIN, VALID)]))
    if impressions.time is not None:
        rows = rows[np.argsort(np.asarray(impressions.time)[rows], kind="stable")]
    _, last = np.unique(np.asarray(impressions.user)[rows][::-1], return_index=True)
    return rows[::-1][last]


def cost_of_cache(run: Run, student: Found, export: Export) -> dict[str, Any]:
    """How well a student does on its test rows with vectors of their own, with cached ones, and with none.

    Returns:
        `users` in the cache, the share of test rows `found` there, and NE: `ne`, `ne_cached` and `ne_missing`.
    """
    rows, known = (
        run.impressions.select(TEST, student.member.vertical),
        latest(run.impressions, student.member.vertical),
    )
    users = np.asarray(run.impressions.user)
    place = np.searchsorted(users[known], users[rows]).clip(max=len(known) - 1)
    found = users[known][place] == users[rows]
    cached = np.where(found, known[place], NOBODY)
    sources = {"ne": rows, "ne_cached": cached, "ne_missing": np.full(len(rows), NOBODY)}
    entropies = {name: _entropy(run, student, export, rows, others) for name, others in sources.items()}
    return {"users": len(known), "found": float(found.mean()) if len(rows) else None, **entropies}


def _entropy(run: Run, student: Found, export: Export, rows: NDArray, others: NDArray) -> float | None:
    """NE on some rows, with the teacher's vectors of others in the place of theirs."""
    features = student.view.take(torch.from_numpy(rows)).features
    vector = student.view.take(torch.from_numpy(others)).features.vectors[NAME]
    said = export.say(features._replace(vectors=features.vectors | {NAME: vector}))
    return entropy_of(run.impressions, rows, said.logit)


def _users(run: Run, column: str, wanted: Sequence[NDArray[np.int64]]) -> list[tuple[list[Any], str]]:
    """The users of some rows of each student, as they stand in the data."""
    source, found = run.impressions.source, [([], "Int64") for _ in wanted]
    cuts = source.cuts(BLOCK)
    for cut, frame in zip(cuts, source.read([column], cuts), strict=True):
        for place, rows in enumerate(wanted):
            ours = rows[np.searchsorted(rows, cut.start) : np.searchsorted(rows, cut.start + cut.rows)]
            if len(ours):
                names, kind = named_users(frame[ours - cut.start][column])
                found[place] = (found[place][0] + names, kind)
    return found
