"""What every row has beside its features: labels, vertical, split, and perhaps time, user, weight and id."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.data import checks, split
from distill.data.checks import Faults
from distill.data.hashing import RowDigest, hashes, of_numbers
from distill.data.kinds import describe, named, numbers, plain
from distill.data.settings import DataSettings, SplitByColumn, SplitByHash
from distill.data.source import Source
from distill.data.tables import codes
from distill.errors import DataError, Fault


@dataclass
class Roles:
    """One entry a row; see `impressions.Impressions`. Where a column is at fault, its entries mean nothing."""

    verticals: tuple[str, ...]
    domains: dict[str, str | None]
    vertical: NDArray[np.int32]
    split: NDArray[np.int8]
    label: NDArray[np.float32]
    valid: NDArray[np.bool_]
    weight: NDArray[np.float32]
    time: NDArray | None
    user: NDArray[np.int64] | None
    row_id: pl.Series | None

    def arrays(self) -> dict[str, NDArray]:
        """The arrays, by name."""
        names = ("vertical", "split", "label", "valid", "weight", "time", "user")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


def read(source: Source, settings: DataSettings, faults: Faults, digest: RowDigest) -> Roles:
    """Reads and checks the columns of a data section that are not features.

    Args:
        source: where they are.
        settings: what they mean.
        faults: takes up whatever is wrong.
        digest: takes up the content of every row.
    """
    reader = _Reader(source, settings, faults, digest)
    label, valid = reader.labels()
    verticals, vertical = reader.verticals()
    times = reader.times()
    return Roles(
        verticals=verticals,
        domains=reader.domains(verticals, vertical),
        vertical=vertical,
        split=reader.split(times),
        label=label,
        valid=valid,
        weight=reader.weights(),
        time=None if times is None else physical(times),
        user=reader.users(),
        row_id=reader.row_ids(),
    )


def times(values: pl.Series, where: str) -> pl.Series:
    """Times in the type in which they are compared: whole numbers, numbers, dates, or datetimes; text is read as ISO.

    Raises:
        DataError: the column holds something else.
    """
    words = describe(values.dtype)
    if words == "text":
        return _parsed(values.cast(pl.String), where)
    if isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone is not None:
        return values.dt.convert_time_zone("UTC")
    if words == "dates or times":
        return values
    if words in ("whole numbers", "numbers"):
        return plain(values, where)
    raise DataError(Fault(where, f"holds {words}, where times are meant."))


def _parsed(text: pl.Series, where: str) -> pl.Series:
    """Nothing but ISO is read: who writes 01/02/2030 may mean January or February."""
    try:
        if text.str.contains(r"^\d{4}-\d\d-\d\d").all():
            return text.str.to_datetime()
    except pl.exceptions.PolarsError:
        pass
    raise DataError(Fault(where, "holds text that is no ISO date or time.", "Write all as 2030-01-31T23:59."))


def physical(values: pl.Series) -> NDArray:
    """Times as `int64` or `float64`, in the same order."""
    numbers = values.to_physical()
    return numbers.cast(pl.Float64 if numbers.dtype.is_float() else pl.Int64).to_numpy()


def row_ids(values: pl.Series, where: str) -> pl.Series:
    """Row ids as `Int64` or `String`.

    Raises:
        DataError: they are neither whole numbers nor text.
    """
    if describe(values.dtype) in ("whole numbers", "text"):
        return plain(values, where)
    raise DataError(
        Fault(where, f"holds {describe(values.dtype)}, where row ids are meant.", "Use whole numbers or text.")
    )


class _Reader:
    """Reads one column after another; a column at fault is noted, and zeros stand in for it."""

    def __init__(self, source: Source, settings: DataSettings, faults: Faults, digest: RowDigest) -> None:
        self.source, self.settings, self.faults, self.digest = source, settings, faults, digest

    def labels(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        tasks = self.settings.tasks.values()
        label = np.zeros((self.source.rows, len(tasks)), dtype=np.float32)
        valid = np.ones(label.shape, dtype=bool)
        for task, column in enumerate(tasks):
            with self.faults.gathering():
                where, place = self._where(column)
                values = numbers(self.source.read(column), where)
                self.digest.add(of_numbers(values))
                checks.binary(values, place)
                missing = np.isnan(values)
                if len(tasks) == 1:
                    checks.refuse(missing, place, "is null", "Leave rows without a label out.")
                label[:, task], valid[:, task] = np.where(missing, 0, values), ~missing
        return label, valid

    def verticals(self) -> tuple[tuple[str, ...], NDArray[np.int32]]:
        with self.faults.gathering():
            names = self._names(self.settings.vertical)
            known = names.unique().sort()
            return tuple(known), codes(names, known)
        return ("",), np.zeros(self.source.rows, dtype=np.int32)

    def domains(self, verticals: tuple[str, ...], vertical: NDArray[np.int32]) -> dict[str, str | None]:
        if self.settings.domain is None:
            return dict.fromkeys(verticals)
        with self.faults.gathering():
            names = self._names(self.settings.domain)
            pairs = pl.DataFrame({"vertical": vertical, "domain": names}).unique().sort("vertical", "domain")
            several = (
                pairs.group_by("vertical", maintain_order=True).agg("domain").filter(pl.col("domain").list.len() > 1)
            )
            if len(several):
                which, found = several.row(0)
                what = f'vertical "{verticals[which]}" is in several domains: {", ".join(found)}.'
                raise DataError(Fault(self._where(self.settings.domain)[0], what, "A vertical belongs to one."))
            known = names.unique().sort()
            self.digest.add(hashes(known)[codes(names, known)])
            return {verticals[which]: name for which, name in pairs.iter_rows()}
        return dict.fromkeys(verticals)

    def times(self) -> pl.Series | None:
        if self.settings.time is None:
            return None
        with self.faults.gathering():
            where, place = self._where(self.settings.time)
            values = times(self.source.read(self.settings.time), where)
            checks.filled(values, place)
            self.digest.add(of_numbers(physical(values)))
            return values
        return None

    def split(self, times: pl.Series | None) -> NDArray[np.int8]:
        settings = self.settings.split
        with self.faults.gathering():
            if isinstance(settings, SplitByColumn):
                found = split.by_column(self.source.read(settings.column), settings, self._where(settings.column)[0])
            elif isinstance(settings, SplitByHash):
                where, place = self._where(settings.column)
                keys = plain(self.source.read(settings.column), where)
                checks.filled(keys, place)
                found = split.by_hash(keys, settings)
            elif self.settings.time is None:
                raise DataError(Fault("data.split", "a split by time needs data.time.", "Name the column of times."))
            elif times is not None:
                found = split.by_time(times, settings, self._where(self.settings.time)[0])
            else:
                return np.zeros(self.source.rows, dtype=np.int8)  # the times are at fault, and that is noted already
            self.digest.add(of_numbers(found))
            if not (found == split.TRAIN).any():
                raise DataError(Fault("data.split", f"leaves no row of {self.source.name} to train on."))
            return found
        return np.zeros(self.source.rows, dtype=np.int8)

    def weights(self) -> NDArray[np.float32]:
        weight = np.ones(self.source.rows, dtype=np.float32)
        if self.settings.weight is not None:
            with self.faults.gathering():
                where, place = self._where(self.settings.weight)
                values = numbers(self.source.read(self.settings.weight), where)
                checks.refuse(np.isnan(values), place, "is null", "Give every row a weight.")
                checks.finite(values, place)
                checks.refuse(values < 0, place, "is negative", "Weights are 0 or more.")
                self.digest.add(of_numbers(values))
                weight[:] = values
        return weight

    def users(self) -> NDArray[np.int64] | None:
        if self.settings.user is None:
            return None
        with self.faults.gathering():
            values = plain(self.source.read(self.settings.user), self._where(self.settings.user)[0])
            known = values.drop_nulls().unique().sort()
            found = codes(values, known)
            self.digest.add(np.append(hashes(known), hashes(pl.Series([None], dtype=known.dtype)))[found])
            return found.astype(np.int64)
        return None

    def row_ids(self) -> pl.Series | None:
        if self.settings.row_id is None:
            return None
        with self.faults.gathering():
            where, place = self._where(self.settings.row_id)
            values = row_ids(self.source.read(self.settings.row_id), where)
            checks.filled(values, place)
            checks.unique(values, where)
            self.digest.add(hashes(values))
            return values
        return None

    def _names(self, column: str) -> pl.Series:
        where, place = self._where(column)
        names = named(self.source.read(column), where)
        checks.filled(names, place)
        return names

    def _where(self, column: str) -> tuple[str, checks.Place]:
        return self.source.place(column), lambda row: self.source.place(column, row)
