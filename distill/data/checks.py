"""What impressions must be, as faults that name the column, how many rows break it, and the first of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from distill.errors import DataError, Fault

Place = Callable[[str, int | None], str]
"""How a fault names a column, or the value of one of its rows."""

SHOWN = 5
"""Most odd values, or columns, that a message shows."""


@dataclass
class _Tally:
    """Rows of one column that break one rule."""

    first: int
    counts: dict[int, int] = field(default_factory=dict)
    """First row of a block -> how many in it, whoever of the column's readers asks."""
    odd: set[float] = field(default_factory=set)


class Faults:
    """Gathers the faults of one column and one block of rows after another, so that all are told at once.

    Args:
        place: how a fault names a value.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self._found: dict[Fault, None] = {}
        self._tallies: dict[tuple[str, str, str], _Tally] = {}
        self._columns: dict[str, None] = {}

    def __bool__(self) -> bool:
        return bool(self._found or self._tallies)

    @property
    def columns(self) -> list[str]:
        """The columns whose faults were or are gathered, in their order."""
        return [column for column in self._columns if column]

    @contextmanager
    def gathering(self, *columns: str) -> Iterator[None]:
        """What is wrong in the block is noted, and the rest of the block left out; told in the order of the columns."""
        for column in columns:
            self._columns.setdefault(column)
        try:
            yield
        except DataError as error:
            self._found.update(dict.fromkeys(error.faults))

    def refuse(
        self,
        bad: NDArray[np.bool_],
        column: str,
        first: int,
        what: str,
        remedy: str = "",
        odd: NDArray[np.float64] | None = None,
    ) -> None:
        """No row may be `bad`.

        Args:
            bad: which rows of a block are, [rows].
            column: the column that is looked at.
            first: row of the source at which the block begins.
            what: what is wrong; `{odd}` stands for the first few of the odd values.
            remedy: what to do.
            odd: values of the column, [rows].
        """
        if not bad.any():
            return
        tally = self._tallies.setdefault((column, what, remedy), _Tally(first + int(bad.argmax())))
        tally.counts[first] = max(tally.counts.get(first, 0), int(bad.sum()))
        if odd is not None and len(tally.odd) < SHOWN:
            tally.odd.update(np.unique(odd[bad])[:SHOWN].tolist())

    def missing(self, bad: NDArray[np.bool_], column: str, first: int) -> None:
        """No value may be missing where the column must be filled."""
        self.refuse(bad, column, first, "is null", "Fill it, or leave such rows out.")

    def tell(self) -> None:
        """Raises all of them, if there are any, in the order of the columns."""
        order = {column: number for number, column in enumerate(self._columns)}
        told = [(order.get(column, len(order)), self._fault(*key)) for key in self._tallies for column in key[:1]]
        told += [(self._rank(fault, order), fault) for fault in self._found]
        if told:
            raise DataError(*(fault for _, fault in sorted(told, key=lambda entry: entry[0])))

    def _fault(self, column: str, what: str, remedy: str) -> Fault:
        tally = self._tallies[column, what, remedy]
        odd = ", ".join(f"{value:g}" for value in sorted(tally.odd)[:SHOWN])
        count = sum(tally.counts.values())
        many = f" ({count} such rows)" if count > 1 else ""
        return Fault(self.place(column, tally.first), f"{what.replace('{odd}', odd)}{many}.", remedy)

    def _rank(self, fault: Fault, order: dict[str, int]) -> int:
        named = [number for column, number in order.items() if column and f"column `{column}`" in fault.where]
        return named[0] if named else len(order)
