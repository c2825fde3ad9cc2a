"""Preprocessing: from raw columns to what one ranker sees, without the rows that it was trained on.

What was fitted travels with the ranker: the constants of numbers, and the values that its training rows show. All else
is done by the coders that encode a whole data set, so that no value can be read in two ways.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from pydantic import model_validator
from torch import Tensor

from distill.data import columns, roles
from distill.data.block import Block, Desk, Plain
from distill.data.checks import Faults
from distill.data.given import Given, Rows, Unread, conformed
from distill.data.layout import EVENTS, IDS, event_shapes, of_kind
from distill.data.numeric import apply, bucket
from distill.data.settings import Bucketised, DataSettings, Feature, MultiValued, Numeric, Vector
from distill.data.settings import Sequence as History
from distill.data.source import Source
from distill.data.tables import by_table, given, uses
from distill.data.view import View
from distill.types import PAD, Features, Settings

Words = Mapping[str, Sequence[Any]]
"""Table -> the value of each id from 1 up; null may be one of them."""


class Preprocessing(Settings):
    """What turns raw columns into the features of one ranker; beside it stand its `Words`."""

    data: DataSettings
    """What the columns mean; of the features, those that are seen and those whose tables they share."""
    features: tuple[str, ...]
    """Names of the features that are seen, in the order of the settings."""
    constants: dict[str, dict[str, Any]]
    """What numbers were fitted to."""
    columns: dict[str, str]
    """Column -> what it held, in the words of `given.conformed`."""

    @model_validator(mode="after")
    def _whole(self) -> "Preprocessing":
        needed = {Numeric: {"steps", "fill"}, Bucketised: {"boundaries"}}
        for name in self.features:
            feature = self.data.features.get(name)
            if not needed.get(type(feature), set()) <= self.constants.get(name, {}).keys():
                raise ValueError(f"constants: what {name} was fitted to is missing")
        return self

    @property
    def tables(self) -> list[str]:
        """The tables whose ids are values that training rows showed: each has its `Words`."""
        tables = by_table({name: self.data.features[name] for name in self.features})
        return [one for one in tables if given(self.data.features, one) is None and one not in self.constants]

    def beside(self, name: str, moments: Mapping[str, Sequence[float]]) -> "Preprocessing":
        """The same with one more vector, in a column of its name: standardised, and zeros in rows that have null.

        Args:
            name: of the feature.
            moments: `mean` and `spread` of each coordinate.
        """
        features = self.data.features | {name: Vector(width=len(moments["mean"]), missing="zero")}
        return self.model_copy(
            update={
                "data": self.data.model_copy(update={"features": features}),
                "features": (*self.features, name),
                "constants": self.constants | {name: dict(moments)},
                "columns": self.columns | {name: "List(Float64)"},
            }
        )


def fitted(
    source: Source, constants: Mapping[str, Any], view: View, vertical: str | None
) -> tuple[Preprocessing, dict[str, list[Any]]]:
    """What a ranker of `vertical` needs to read raw columns as `view` shows them.

    Args:
        source: the rows of the view.
        constants: what all numbers of the data set were fitted to.
        view: what the ranker sees.
        vertical: whose ids, or None in scope `all`.
    """
    settings, seen = view.settings, view.features
    tables = by_table(seen)
    named = {name: one for name, one in settings.features.items() if name in seen or name in tables}
    values = {table: view.values(table, vertical) for table in tables}
    preprocessing = Preprocessing(
        data=settings.model_copy(update={"features": named, "path": None, "world": None}),
        features=tuple(seen),
        constants={name: constants[name] for name in seen if name in constants},
        columns=_columns(source, settings, seen),
    )
    return preprocessing, {table: known[1:].to_list() for table, known in values.items() if known is not None}


def _columns(source: Source, settings: DataSettings, features: Mapping[str, Feature]) -> dict[str, str]:
    """What each column that is read holds."""
    desk, found = Desk(source, settings, Faults(source.place)), {}
    for name, feature in features.items():
        times = feature.times if isinstance(feature, History) else None
        for column in columns.columns(name, feature):
            if column == times:
                found |= {column: "times of events", settings.time: "time"}
            elif isinstance(feature, Numeric | Bucketised):
                found[column] = "Float64"
            elif isinstance(feature, Vector):
                found[column] = "List(Float64)"
            else:
                inner = isinstance(feature, MultiValued | History)
                kind = Plain(desk, column, inner=inner).kind
                found[column] = f"List({kind})" if inner else kind
    return found


class Preprocessor:
    """Reads raw columns for one ranker.

    Args:
        preprocessing: what was fitted.
        words: the values that have an id.

    Raises:
        DataError: some values are not of the kind that their column held.
    """

    def __init__(self, preprocessing: Preprocessing, words: Words) -> None:
        self.preprocessing, self.settings = preprocessing, preprocessing.data
        self.features = {name: self.settings.features[name] for name in preprocessing.features}
        self.keys = {name: f"f{number}" for number, name in enumerate(self.settings.features)}
        self.shapes = event_shapes(self.features)
        self.columns = tuple(preprocessing.columns)
        kinds = {use.table: preprocessing.columns[use.column] for use in uses(self.features) if use.table in words}
        self.words = {f"table:{table}": Given(words[table], kind) for table, kind in kinds.items()}

    def read(
        self, frame: pl.DataFrame, name: str = "rows", numbers: NDArray[np.integer] | None = None, student: str = ""
    ) -> Features:
        """What the ranker sees of some rows.

        Args:
            frame: their raw columns, in any order; others are left alone.
            name: how faults name where they come from.
            numbers: number of each of them there; from 0 where none are given.
            student: whose rows they are, as faults name it that concern what it was trained with.

        Raises:
            DataError: everything that is wrong with the rows, all at once.
        """
        rows = Rows(conformed(frame, self.preprocessing.columns, name), name, numbers)
        block = self._encoded(rows, student)
        return Features(
            vertical=torch.zeros(len(frame), dtype=torch.int64),
            categorical=_stacked([self._id(name, block) for name in of_kind(self.features, *IDS)], len(frame)),
            numeric=self._numbers(block),
            sequences={name: self._events(name, block) for name in of_kind(self.features, *EVENTS)},
            vectors={name: self._vector(name, block) for name in of_kind(self.features, Vector)},
        )

    def _encoded(self, rows: Rows, student: str) -> Block:
        faults = Faults(rows.place)
        desk = Desk(rows, self.settings, faults, student, dict(self.words))
        coders = list(columns.coders(desk, self.features))
        if any(isinstance(one, History) and one.times is not None for one in self.features.values()):
            coders.insert(0, roles.Time(desk))
        block = Block(rows.frame, 0, Unread(0))
        for coder in coders:
            with faults.gathering():
                coder.code(block)
        faults.tell()
        return block

    def _id(self, name: str, block: Block) -> NDArray[np.int32]:
        codes = block.rows[self.keys[name]]
        if isinstance(self.features[name], Bucketised):
            return bucket(codes, self.preprocessing.constants[name]["boundaries"])
        return codes

    def _numbers(self, block: Block) -> Tensor:
        constants, rows = self.preprocessing.constants, len(block.frame)
        names = of_kind(self.features, Numeric)
        found = [apply(block.rows[self.keys[name]], constants[name], self.features[name]) for name in names]
        with np.errstate(over="ignore"):
            return _tensor(np.concatenate([np.zeros((rows, 0)), *found], axis=1).astype(np.float32))

    def _vector(self, name: str, block: Block) -> Tensor:
        """Vectors as they are; those with moments standardised, and zeros, which is the mean, where there is none."""
        vector, moments = _tensor(block.rows[self.keys[name]]), self.preprocessing.constants.get(name)
        if not moments:
            return vector
        there = torch.from_numpy(block.frame[self.features[name].column or name].is_not_null().to_numpy())
        mean, spread = (torch.tensor(moments[key]) for key in ("mean", "spread"))
        return (vector - mean) / spread * there.unsqueeze(-1)

    def _events(self, name: str, block: Block) -> Tensor:
        """Histories and sets, filled up with `PAD`."""
        steps, width = self.shapes[name]
        there = np.arange(steps) < block.rows[self.keys[name]][:, None]
        found = np.full((len(block.frame), steps, width), PAD, dtype=np.int32)
        found[there] = block.events[self.keys[name]]
        return _tensor(found)


def _stacked(ids: list[NDArray[np.int32]], rows: int) -> Tensor:
    return _tensor(np.stack(ids, axis=1) if ids else np.zeros((rows, 0), dtype=np.int32))


def _tensor(values: NDArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))
