"""What is allowed in impressions but probably not meant, as warnings."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from distill.data.roles import Roles
from distill.data.split import NAMES, TEST, TRAIN, VALID

SAMPLE = 200_000
"""Rows, spread evenly, in which a feature is compared with labels and verticals."""

GIVEN_AWAY = 0.99
"""A feature whose values tell this share of the clicks, and of the non-clicks, knows the label."""

FEWEST = 10
"""Clicks, and non-clicks, below which nothing is said of a feature."""


class Suspicions:
    """Looks at features one by one, and notes what is odd.

    Attributes:
        found: the warnings.
    """

    def __init__(self, roles: Roles, tasks: Sequence[str]) -> None:
        sample = slice(None, None, -(-len(roles.vertical) // SAMPLE))
        self.sample, self.tasks = sample, tasks
        self.label, self.valid = roles.label[sample] > 0, roles.valid[sample]
        self.vertical = np.unique(roles.vertical[sample], return_inverse=True)[1]
        self.found = [*_of_splits(roles), *_of_verticals(roles)]

    def categorical(self, name: str, codes: NDArray) -> None:
        """Looks at the codes of a feature, [rows]."""
        self._look(name, codes[self.sample], ordered=False)

    def numeric(self, name: str, values: NDArray) -> None:
        """Looks at the raw numbers of a feature, [rows]."""
        self._look(name, values[self.sample], ordered=True)

    def _look(self, name: str, values: NDArray, ordered: bool) -> None:
        codes = np.unique(values, return_inverse=True)[1]
        if _one_to_one(codes, self.vertical):
            self.found.append(f"Feature `{name}` repeats the vertical one to one: to a student it is a constant.")
        for task, column in enumerate(self.tasks):
            valid = self.valid[:, task]
            if _tells(codes[valid], self.label[valid, task], ordered):
                self.found.append(
                    f"Feature `{name}` all but determines the label of `{column}`; "
                    "if it is known only after the click, leave it out."
                )


def _one_to_one(one: NDArray, other: NDArray) -> bool:
    """Whether each number of `one` always meets the same of `other`, and the other way round; both are 0, 1, 2, ..."""
    values = one.max() + 1
    pairs = len(np.unique(other.astype(np.int64) * values + one))
    return pairs == values == other.max() + 1 > 1


def _tells(codes: NDArray, label: NDArray[np.bool_], ordered: bool) -> bool:
    """Whether values tell labels: by what most rows of a value have, or, ordered, because the labels lie apart."""
    positive, rows = np.bincount(codes, weights=label), np.bincount(codes)
    negative = rows - positive
    if min(positive.sum(), negative.sum()) < FEWEST:
        return False
    if ordered:
        below = np.cumsum(negative) - negative
        area = (positive * (below + negative / 2)).sum() / (positive.sum() * negative.sum())
        if max(area, 1 - area) > 1 - (1 - GIVEN_AWAY) / 10:
            return True
    again = rows > 1  # a value shown once tells its label whatever it is
    told = [(count[again & (2 * count > rows)].sum(), count[again].sum()) for count in (positive, negative)]
    return all(right > GIVEN_AWAY * of and of >= FEWEST for right, of in told)


def _of_splits(roles: Roles) -> list[str]:
    found = [f"No row is in the split `{NAMES[code]}`." for code in (VALID, TEST) if not (roles.split == code).any()]
    if roles.time is not None and (roles.split == TEST).any() and (roles.split == TRAIN).any():
        early = (roles.split == TEST) & (roles.time < roles.time[roles.split == TRAIN].max())
        if early.any():
            found.append(f"{early.sum()} test rows are earlier than the last training row: the split looks ahead.")
    return found


def _of_verticals(roles: Roles) -> list[str]:
    """Verticals that get no student, or one that nothing can be said of."""
    count = len(roles.verticals)
    clicks = (roles.label > 0) & roles.valid
    lacking = {
        "no training rows; they get no student": roles.split == TRAIN,
        "no positives in their training rows": (roles.split == TRAIN) & clicks.any(axis=1),
        "no test rows; their ratios do not exist": roles.split == TEST,
    }
    found = []
    for what, rows in lacking.items():
        names = [roles.verticals[i] for i in np.flatnonzero(np.bincount(roles.vertical[rows], minlength=count) == 0)]
        if names:
            shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            found.append(f"{len(names)} of {count} verticals have {what}: {shown}.")
    return found
