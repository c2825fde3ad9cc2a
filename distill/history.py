"""History: what a teacher made of a user's earlier impressions, as one short vector beside each later one.

Each impression leaves the vector that the teacher gave it when it was scored, before anybody knew its label. Of those
of a user's earlier ones, in all verticals, students see the mean. A log of activations is all that this takes.

References:
    LoopFM, arXiv 2605.29280, 2026; there the vectors are compressed by an autoencoder, here by principal directions.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from distill.data.impressions import TRAIN, VALID, Impressions
from distill.data.slicing import seconds_a_unit
from distill.data.timeline import Timeline
from distill.errors import Fault, KnowledgeMismatch
from distill.fingerprint import fingerprint
from distill.inputs import moments
from distill.knowledge import Knowledge, KnowledgeStore
from distill.recipe.moves import HistoryChannel
from distill.types import Prediction

CHUNK = 500_000
"""Rows whose vectors are in memory at once, and those of the earlier rows of their users."""


class Compression(NamedTuple):
    """The directions in which a teacher's vectors differ most.

    Attributes:
        centre: mean of the vectors.
        directions: one in a column, at right angles.
        kept: share of the variance that lies in them.
    """

    centre: Float[Tensor, " wide"]
    directions: Float[Tensor, "wide width"]
    kept: float

    def __call__(self, vectors: Float[Tensor, "rows wide"]) -> Float[Tensor, "rows width"]:
        """The coordinates of vectors in these directions, in fp64."""
        return (vectors.double() - self.centre) @ self.directions


class Spans(NamedTuple):
    """Which part of a timeline each history is, as places in its order.

    The newest `length` rows count. Where the oldest of them belong to a block that is longer, all rows of that block
    count alike, each in part: a block is never split, and the order within it says nothing.

    Attributes:
        begin: first row of the block that counts in part.
        whole: behind it, where the rows begin that count whole.
        end: behind the last row.
        share: how much each row of the first block counts.
    """

    begin: NDArray[np.int64]
    whole: NDArray[np.int64]
    end: NDArray[np.int64]
    share: NDArray[np.float64]

    @property
    def counted(self) -> NDArray[np.float64]:
        """How many rows count."""
        return self.end - self.whole + self.share * (self.whole - self.begin)


def histories_of(
    channel: HistoryChannel, impressions: Impressions, knowledge: Knowledge, store: KnowledgeStore
) -> Knowledge:
    """The history of every row; those without any earlier row that the teacher has scored are not covered.

    Args:
        channel: how long it is, and how wide.
        impressions: the rows.
        knowledge: what the teacher said of them, with representations.
        store: where the table is found or made.
    """
    name = fingerprint("history", knowledge.manifest.fingerprint, channel)
    found = store.find(name)
    if found is not None:
        return found
    known = scored(knowledge, np.arange(impressions.rows))
    compression = fitted(knowledge, known[impressions.split[known] == TRAIN], channel.width)
    line = Timeline(impressions.user[known], _times(impressions)[known])
    spans = spans_of(line, impressions.user, _times(impressions), channel, seconds_a_unit(impressions))
    changes = {"fingerprint": name, "tasks": (), "width": len(compression.directions.T)}
    writer = store.writer(knowledge.manifest.model_copy(update=changes))
    for rows, vectors in _pooled(knowledge, compression, known[line.order], spans):
        none = torch.zeros(len(rows), 0)
        there = spans.counted[rows] > 0
        for covered in (True, False):
            chosen = there == covered
            said = Prediction(none[chosen], vectors[chosen].float())
            writer.add(rows[chosen], said, covered=covered)
    writer.commit()
    facts = {"centre": compression.centre.tolist(), "directions": compression.directions.tolist()}
    table = writer.read()
    return writer.finish(facts | {"kept": compression.kept} | moments(table, scored(table, impressions.select(TRAIN))))


def spans_of(
    line: Timeline,
    user: NDArray[np.int64],
    time: NDArray[np.float64],
    channel: HistoryChannel,
    unit: float,
) -> Spans:
    """The histories of users at some times.

    Args:
        line: the rows that may count.
        user: whose, [asked].
        time: when; rows of that very time do not count, [asked].
        channel: how far back they go.
        unit: seconds in a unit of time.
    """
    hour = 3600 / unit
    end = line.before(user, time)
    if channel.age:
        end = np.minimum(end, line.upto(user, time - channel.age * hour))
    oldest = np.full(len(time), -np.inf) if channel.hours is None else time - channel.hours * hour
    cut = np.minimum(np.maximum(line.before(user, oldest), end - channel.length), end)
    begin, whole = line.block(np.minimum(cut, len(line.order) - 1))
    apart = (cut < end) & (begin < cut)
    begin, whole = np.where(apart, begin, cut), np.where(apart, whole, cut)
    return Spans(begin, whole, end, (whole - cut) / np.maximum(whole - begin, 1))


@lru_cache(maxsize=1)
def latest_histories(
    channel: HistoryChannel, impressions: Impressions, knowledge: Path, table: Path
) -> tuple[NDArray[np.int64], Float[Tensor, "users width"]]:
    """The history of each user after the last training or validation row of all, for a cache.

    Args:
        channel: how long it is.
        impressions: the rows.
        knowledge: folder of what the teacher said of them.
        table: folder of their histories.

    Returns:
        The last row of each user who has any, in the order of the users' numbers, and the vectors.
    """
    said, facts = Knowledge(knowledge), Knowledge(table).facts
    known = scored(said, np.flatnonzero(np.isin(impressions.split, (TRAIN, VALID))))
    time, user = _times(impressions)[known], impressions.user[known]
    line, users = Timeline(user, time), np.unique(user)
    now = np.full(len(users), np.nextafter(time.max(initial=0.0), np.inf))
    spans = spans_of(line, users, now, channel, seconds_a_unit(impressions))
    spans = Spans(*(one[spans.counted > 0] for one in spans))
    centre, directions = (torch.tensor(facts[name], dtype=torch.float64) for name in ("centre", "directions"))
    rows = known[line.order]
    vectors = torch.zeros(len(spans.end), directions.shape[1])
    for places, means in _pooled(said, Compression(centre, directions, facts["kept"]), rows, spans):
        vectors[places] = means.float()
    return rows[spans.end - 1], vectors


def scored(knowledge: Knowledge, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of some rows that the teacher has scored."""
    parts = [rows[first : first + CHUNK] for first in range(0, len(rows), CHUNK)]
    covered = [knowledge.take(torch.from_numpy(part), representation=False).covered.numpy() for part in parts]
    return np.concatenate([part[known] for part, known in zip(parts, covered, strict=True)] or [rows])


def fitted(knowledge: Knowledge, rows: NDArray[np.int64], width: int) -> Compression:
    """The first principal directions of the teacher's vectors of some rows, in fp64.

    Args:
        knowledge: what it said.
        rows: training rows that it has scored.
        width: how many directions, at most as many as the vectors have numbers.

    Raises:
        KnowledgeMismatch: some vector is not finite.
    """
    wide = knowledge.manifest.width
    total, squares = torch.zeros(wide, dtype=torch.float64), torch.zeros(wide, wide, dtype=torch.float64)
    for part in torch.from_numpy(rows).split(CHUNK):
        vectors = knowledge.take(part).prediction.representation.double()
        total += vectors.sum(0)
        squares += vectors.mT @ vectors
    if not torch.isfinite(squares).all():
        what = f"a representation of {knowledge.manifest.teacher} is infinite, or no number."
        raise KnowledgeMismatch(Fault("students.distill.history", what, "Leave the channel out, or mend the table."))
    centre = total / max(len(rows), 1)
    values, vectors = torch.linalg.eigh(squares / max(len(rows), 1) - centre[:, None] * centre)
    best = values.clamp_min(0).flip(0)
    kept = float(best[:width].sum() / best.sum()) if best.sum() > 0 else 1.0
    return Compression(centre, vectors.flip(1)[:, :width].contiguous(), kept)


def _pooled(
    knowledge: Knowledge, compression: Compression, rows: NDArray[np.int64], spans: Spans
) -> Iterator[tuple[NDArray[np.int64], Float[Tensor, "spans width"]]]:
    """The mean of the compressed vectors of each span, some spans at a time, those that lie together.

    Args:
        knowledge: what the teacher said.
        compression: of its vectors.
        rows: numbers of the rows of a timeline, in its order.
        spans: of it.

    Yields:
        Which spans, and their means, zeros where nothing counts.
    """
    asked = np.argsort(spans.begin, kind="stable")
    for places in np.split(asked, range(CHUNK, len(asked), CHUNK)):
        first, last = spans.begin[places].min(initial=len(rows)), spans.end[places].max(initial=0)
        vectors = compression(knowledge.take(torch.from_numpy(rows[first:last])).prediction.representation)
        sums = torch.cat([vectors.new_zeros(1, vectors.shape[1]), vectors.cumsum(0)])
        begin, whole, end = (torch.from_numpy(one[places] - first) for one in spans[:3])
        share, counted = (torch.from_numpy(one[places])[:, None] for one in (spans.share, spans.counted))
        total = sums[end] - sums[whole] + share * (sums[whole] - sums[begin])
        yield places, total / counted.clamp_min(1)


def _times(impressions: Impressions) -> NDArray[np.float64]:
    """When each row was, in the unit of the data."""
    return np.asarray(impressions.time, dtype=np.float64)
