"""What every row has beside its features: labels, vertical, split, and perhaps domain, time, user, weight and id."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from distill.data import split
from distill.data.block import Block, Coder, Desk, Numbers, Plain
from distill.data.hashing import digests, of_numbers
from distill.data.kinds import describe, named, plain
from distill.data.moments import physical, times
from distill.data.settings import SplitByColumn, SplitByHash, SplitByTime
from distill.errors import DataError, Fault


def coders(desk: Desk) -> Iterator[Coder]:
    """A coder for each role that the settings name; what is wrong with a column is noted, and it has none."""
    ours = desk.settings
    made = [
        (column, lambda task=task, column=column: Label(desk, task, column))
        for task, column in enumerate(ours.tasks.values())
    ]
    made.append((ours.vertical, lambda: Vertical(desk)))
    if ours.domain is not None:
        made.append((ours.domain, lambda: Domain(desk)))
    if ours.time is not None:
        made.append((ours.time, lambda: Time(desk)))
    if isinstance(ours.split, SplitByColumn | SplitByHash):
        made.append((ours.split.column, lambda: Split(desk)))
    elif ours.time is None:
        made.append(("", lambda: _without_time(ours.split)))
    if ours.weight is not None:
        made.append((ours.weight, lambda: Weight(desk)))
    if ours.user is not None:
        made.append((ours.user, lambda: User(desk)))
    if ours.row_id is not None:
        made.append((ours.row_id, lambda: RowId(desk)))
    for column, make in made:
        with desk.faults.gathering(column):
            yield make()


def _without_time(_: SplitByTime) -> Coder:
    raise DataError(Fault("data.split", "a split by time needs data.time.", "Name the column of times."))


class Label(Coder):
    """0 or 1, null where it does not exist; a task that the recipe does not name has no such rows."""

    def __init__(self, desk: Desk, task: int, column: str) -> None:
        self.desk, self.name, self.columns = desk, f"label-{task}", (column,)
        self.complete = isinstance(desk.settings.label, str)
        self.numbers = Numbers(desk, column, "Write 0 and 1, or true and false.")

    def code(self, block: Block) -> None:
        (column,) = self.columns
        values = self.numbers.values(block.frame[column])
        block.digest.add(of_numbers(values))
        missing = np.isnan(values)
        bad = (values != 0) & (values != 1) & ~missing
        refuse = self.desk.faults.refuse
        refuse(bad, column, block.first, "a label is 0 or 1, but this column holds {odd}", odd=values)
        if self.complete:
            remedy = f"Leave rows without a label out, or name the task, {{click: {column}}}, to learn marks alone."
            refuse(missing, column, block.first, "is null", remedy)
        block.rows[self.name] = values.astype(np.float32)


class Vertical(Coder):
    """The code of a name."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.columns = desk, (desk.settings.vertical,)
        self.where = _names_of(desk, *self.columns)

    def code(self, block: Block) -> None:
        (column,) = self.columns
        names = named(block.frame[column], self.where)
        self.desk.faults.missing(names.is_null().to_numpy(), column, block.first)
        block.rows["vertical"], _ = self.desk.vocabulary("role:vertical").codes(names)


class Domain(Coder):
    """Which domain each vertical belongs to: one, for all its rows."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.columns = desk, (desk.settings.domain, desk.settings.vertical)
        self.where = _names_of(desk, self.columns[0])
        self.found: dict[str, dict[str, None]] = {}

    def code(self, block: Block) -> None:
        domain, vertical = self.columns
        names = named(block.frame[domain], self.where)
        self.desk.faults.missing(names.is_null().to_numpy(), domain, block.first)
        block.digest.add(digests(names))
        verticals = named(block.frame[vertical], "").rename("v")
        pairs = pl.DataFrame([verticals, names.rename("d")]).drop_nulls().unique().sort("v", "d")
        block.notes["domains"] = pairs.rows()
        self.recall(block.notes)

    def recall(self, notes: dict[str, Any]) -> None:
        for vertical, domain in notes["domains"]:
            self.found.setdefault(vertical, {}).setdefault(domain)

    def close(self) -> None:
        for vertical, domains in sorted(self.found.items()):
            if len(domains) > 1:
                what = f'vertical "{vertical}" is in several domains: {", ".join(sorted(domains))}.'
                raise DataError(Fault(self.where, what, "A vertical belongs to one."))


class Time(Coder):
    """Times in the order of time."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.columns = desk, (desk.settings.time,)
        self.where = desk.source.place(*self.columns)
        self.type: str | None = None
        empty = [pl.Series([], dtype=kind) for kind in desk.source.kinds(*self.columns) if describe(kind) != "text"]
        types = {str(times(values, self.where).dtype) for values in empty}
        if len(types) == 1:  # Otherwise they cannot even be compared with each other, which is said below.
            self._bounded(*types)

    def code(self, block: Block) -> None:
        (column,) = self.columns
        at = lambda row: self.desk.source.place(column, block.first + row)  # noqa: E731
        values = times(block.frame[column], self.where, at)
        self._agree(str(values.dtype), at(0))
        self.desk.faults.missing(values.is_null().to_numpy(), column, block.first)
        block.rows["time"] = physical(values)
        block.digest.add(of_numbers(block.rows["time"]))
        block.notes["time"] = self.type

    def recall(self, notes: dict[str, Any]) -> None:
        self._agree(notes["time"])

    def _agree(self, kind: str, where: str | None = None) -> None:
        """All times are compared with each other, so they are of one type; told of the first rows of the other one."""
        first, self.type = self.type is None, self.type or kind
        if first:
            self._bounded(kind)
        if kind != self.type and {kind, self.type} != {"Int64", "Float64"}:
            what = f"holds {_kind_of_time(kind)} from here on, and {_kind_of_time(self.type)} in the rows before."
            raise DataError(Fault(where or self.where, what, "Write all of them with a zone, or none."))

    def _bounded(self, kind: str) -> None:
        """Bounds that are no such times are told with all else that is wrong with the rows."""
        if isinstance(self.desk.settings.split, SplitByTime):
            split.ByTime(self.desk.settings.split, kind, self.where)


def _kind_of_time(kind: str) -> str:
    if kind in ("Int64", "Float64"):
        return "numbers"
    return "dates" if kind == "Date" else "times with a zone" if "UTC" in kind else "times without a zone"


class Split(Coder):
    """Train, validation or test, where a column or the hash of one decides."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.settings = desk, desk.settings.split
        self.columns = (self.settings.column,)
        self.odd: Counter[str | None] = Counter()
        if isinstance(self.settings, SplitByColumn):
            self.where = _names_of(desk, *self.columns)
        else:
            self.keys = Plain(desk, *self.columns)

    def code(self, block: Block) -> None:
        (column,) = self.columns
        if isinstance(self.settings, SplitByHash):
            keys = self.keys.ids(block.frame[column], block)
            self.desk.faults.missing(keys.is_null().to_numpy(), column, block.first)
            found = split.by_hash(keys, self.settings)
        else:
            names = named(block.frame[column], self.where)
            self.odd.update(names.filter(~names.is_in(split.NAMES) | names.is_null()).to_list())
            found = split.by_name(names)
        block.rows["split"] = found
        block.digest.add(of_numbers(found))

    def close(self) -> None:
        if self.odd:
            listed = ", ".join("null" if name is None else f'"{name}"' for name in sorted(self.odd, key=str)[:10])
            remedy = f'`{self.settings.column}` must say "train", "valid" or "test".'
            raise DataError(Fault(self.where, f"holds {listed} in {self.odd.total()} rows.", remedy))


class Weight(Coder):
    """The weight of a row."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.columns = desk, (desk.settings.weight,)
        self.numbers = Numbers(desk, *self.columns)

    def code(self, block: Block) -> None:
        (column,) = self.columns
        values = self.numbers.values(block.frame[column])
        refuse = self.desk.faults.refuse
        refuse(np.isnan(values), column, block.first, "is null", "Give every row a weight.")
        refuse(np.isinf(values), column, block.first, "is infinite", "Clip it at the source.")
        refuse(values < 0, column, block.first, "is negative", "Weights are 0 or more.")
        block.digest.add(of_numbers(values))
        block.rows["weight"] = values.astype(np.float32)


class User(Coder):
    """A number for each user or session."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.columns = desk, (desk.settings.user,)
        self.plain = Plain(desk, *self.columns)

    def code(self, block: Block) -> None:
        values = self.plain.ids(block.frame[self.columns[0]], block)
        block.rows["user"], marks = self.desk.vocabulary("role:user").codes(values)
        block.digest.add(marks)


class RowId(Coder):
    """The id of a row, whole number or text; whether it is the only one is asked behind the last row."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.columns = desk, (desk.settings.row_id,)
        for kind in desk.source.kinds(*self.columns):
            row_ids(pl.Series([], dtype=kind), desk.source.place(*self.columns))

    def code(self, block: Block) -> None:
        (column,) = self.columns
        values = row_ids(block.frame[column], column)
        self.desk.faults.missing(values.is_null().to_numpy(), column, block.first)
        block.rows["row_id"] = values
        block.rows["row_hash"] = digests(values)
        block.digest.add(block.rows["row_hash"])


def row_ids(values: pl.Series, where: str) -> pl.Series:
    """Row ids as `Int64` or `String`.

    Raises:
        DataError: they are neither whole numbers nor text.
    """
    if describe(values.dtype) in ("whole numbers", "text", "nothing but null"):
        return plain(values, where)
    raise DataError(
        Fault(where, f"holds {describe(values.dtype)}, where row ids are meant.", "Use whole numbers or text.")
    )


def _names_of(desk: Desk, column: str) -> str:
    """How a fault names a column of names, which it is checked to be."""
    where = desk.source.place(column)
    for kind in desk.source.kinds(column):
        named(pl.Series([], dtype=kind), where)
    return where
