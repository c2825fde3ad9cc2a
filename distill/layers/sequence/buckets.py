"""Buckets: rows of about the same length worked on together, so that next to nothing is spent on padding."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool
from numpy.typing import NDArray
from torch import Tensor

from distill.layers.stacking import traced

TOKENS = {"cpu": 1 << 12}
"""Tokens of a bucket at most, by kind of device: what stays in a processor's cache; elsewhere `MANY`."""
MANY = 1 << 18
CELLS = 1 << 24
"""Pairs of tokens of a bucket at most: they are what memory goes to."""
SLACK = 8
"""Steps by which the rows of a bucket may differ in any case."""
SHORTER = 0.75
"""Share of a bucket's longest history that its shortest has at least, where that is more than `SLACK` shorter."""


def in_buckets(
    call: Callable[..., Tensor],
    present: Bool[Tensor, "rows steps"],
    steps: Sequence[Tensor | None],
    rows: Sequence[Tensor],
) -> Tensor:
    """`call(present, *steps, *rows)` bucket by bucket, each padded to its own longest history; rows as they came.

    Exact, differentiable, and the same on every device, as long as `call` treats each row for itself and reads no step
    that is absent. Mapped by `vmap` or compiled, where no shape may depend on data, it is one call
    on what is given.

    Args:
        call: gives one vector a row.
        present: which steps there are; from the newest on, without holes.
        steps: tensors with an axis of steps behind that of rows; None stays None.
        rows: tensors with an axis of rows.
    """
    if traced() or not len(present):
        return call(present, *steps, *rows)
    length, order = present.sum(-1).sort(descending=True, stable=True)
    buckets = list(_buckets(length.cpu().numpy(), TOKENS.get(present.device.type, MANY)))
    sizes = [bucket.rows for bucket in buckets]
    split = [_split(tensor, order, sizes) for tensor in (present, *steps, *rows)]
    found = []
    for bucket, *parts in zip(buckets, *split, strict=True):
        trimmed = [None if part is None else part[:, : bucket.longest] for part in parts[: 1 + len(steps)]]
        found.append(call(*trimmed, *parts[1 + len(steps) :]))
    return torch.cat(found).index_select(0, order.argsort())


class Bucket(NamedTuple):
    """So many rows, and the length of the longest history among them."""

    rows: int
    longest: int


def _buckets(length: NDArray[np.int64], tokens: int) -> Iterator[Bucket]:
    """Cuts rows that stand by their lengths, longest first; the candidate counts as one more token."""
    first = 0
    while first < len(length):
        longest = int(length[first])
        fit = min(tokens // (longest + 1), CELLS // (longest + 1) ** 2)
        least = min(longest - SLACK, SHORTER * longest)
        alike = int(np.searchsorted(-length, -least, side="right")) - first
        yield Bucket(max(1, min(fit, alike)), longest)
        first += max(1, min(fit, alike))


def _split(tensor: Tensor | None, order: Tensor, sizes: Sequence[int]) -> Sequence[Tensor | None]:
    """Its rows in order, bucket by bucket. One split, whose gradient is one concatenation."""
    return [None] * len(sizes) if tensor is None else tensor.index_select(0, order).split(sizes)
