"""Caching: vectors of the teacher for each user, beside the student that sees them, and what a cache costs it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from distill.data.impressions import TEST, TRAIN, VALID, Impressions
from distill.data.vectors import named_users
from distill.export.finding import Found, Run
from distill.export.judging import entropy_of
from distill.history import latest_histories
from distill.inputs import HISTORY, NAME, layers
from distill.serving.export import Export
from distill.serving.manifest import CACHES
from distill.store import Store

BLOCK = 1 << 17
"""Raw rows that are read at once."""

COSTS = {NAME: "cache", HISTORY: "history_cache"}
"""What a report calls the cost of a cache, by the name of its vectors."""


class Cache(NamedTuple):
    """A vector of the teacher for each of some users.

    Attributes:
        rows: a row of each of them, in the order of the users' numbers.
        vectors: as the store holds them.
    """

    rows: NDArray[np.int64]
    vectors: Float[Tensor, "users width"]


def write_caches(run: Run, folders: Sequence[Path]) -> None:
    """Writes the vectors of all users whom each student may meet, as of the end of training and validation rows.

    Where the recipe names no column of users there is none, and vectors come with the rows.
    """
    column = run.recipe.data.user
    if column is None:
        return
    wanted = [
        (folder, name, cache)
        for student, folder in zip(run.students, folders, strict=True)
        for name, cache in caches_of(run, student).items()
    ]
    order = [np.argsort(cache.rows) for _, _, cache in wanted]
    rows = [cache.rows[places] for (_, _, cache), places in zip(wanted, order, strict=True)]
    for (folder, name, cache), places, users in zip(wanted, order, _users(run, column, rows), strict=True):
        _write(folder, CACHES[name], column, users, cache.vectors[places])


def _write(
    folder: Path,
    files: tuple[str, str],
    column: str,
    users: tuple[list[Any], str],
    vectors: Float[Tensor, "users width"],
) -> None:
    names, kind = users
    (folder / files[0]).write_text(json.dumps({"column": column, "kind": kind, "users": names}, ensure_ascii=False))
    save_file({"vectors": vectors.half().contiguous()}, folder / files[1])  # as the store holds them


def caches_of(run: Run, student: Found) -> Mapping[str, Cache]:
    """Name of each vector that a student sees -> those of the users.

    What the teacher says of a user is that of the last training or validation row in the vertical, what it has said
    earlier that of all verticals.
    """
    found = {}
    for name, layer in layers(student.view).items():
        if name == NAME:
            rows = latest(run.impressions, student.member.vertical)
            found[name] = Cache(rows, layer.vectors.take(torch.from_numpy(rows)).prediction.representation)
        else:
            said = Store(run.recipe.store).knowledge.folder / student.lineage.knowledge
            channel = run.recipe.students.distill.history
            found[name] = Cache(*latest_histories(channel, run.impressions, said, layer.vectors.folder))
    return found


def latest(impressions: Impressions, vertical: str) -> NDArray[np.int64]:
    """The last training or validation row of each user of a vertical, in the order of the users' numbers."""
    rows = np.sort(np.concatenate([impressions.select(split, vertical) for split in (TRAIN, VALID)]))
    if impressions.time is not None:
        rows = rows[np.argsort(np.asarray(impressions.time)[rows], kind="stable")]
    _, last = np.unique(np.asarray(impressions.user)[rows][::-1], return_index=True)
    return rows[::-1][last]


def costs_of_caches(run: Run, student: Found, export: Export) -> dict[str, dict[str, Any]]:
    """How well a student does on its test rows with vectors of their own, with cached ones, and with none.

    Returns:
        Of each cache the `users` in it, the share of test rows `found` there, and NE: `ne`, `ne_cached`, `ne_missing`.
    """
    if run.recipe.data.user is None:
        return {}
    rows, users = run.impressions.select(TEST, student.member.vertical), np.asarray(run.impressions.user)
    features, costs = student.view.take(torch.from_numpy(rows)).features, {}
    for name, cache in caches_of(run, student).items():
        known = users[cache.rows]
        place = np.searchsorted(known, users[rows]).clip(max=len(known) - 1)
        found = torch.from_numpy(known[place] == users[rows])
        cached = layers(student.view)[name].standardised(cache.vectors.half().float()[place], found)
        sources = {"ne": features.vectors[name], "ne_cached": cached, "ne_missing": torch.zeros_like(cached)}
        said = {
            key: export.say(features._replace(vectors=features.vectors | {name: vectors})).logit
            for key, vectors in sources.items()
        }
        entropies = {key: entropy_of(run.impressions, rows, logit) for key, logit in said.items()}
        share = float(found.float().mean()) if len(rows) else None
        costs[COSTS[name]] = {"users": len(known), "found": share, **entropies}
    return costs


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
