"""View: the features that rankers of one scope may see, gathered a whole batch at a time."""

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import torch
from jaxtyping import Int
from torch import Tensor

from distill.data.encoding import sequence_file, table_file
from distill.data.hiding import Hiding
from distill.data.layout import IDS, LENGTH_BITS, layout, numeric_columns, of_kind
from distill.data.sealed import MANIFEST, opened
from distill.data.settings import DataSettings, MultiValued, Vector
from distill.data.settings import Sequence as History
from distill.data.tables import uses
from distill.files import read_json
from distill.types import PAD, Batch, Features, FeatureSchema, SequenceField

Scope = Literal["all", "vertical"]


class View:
    """Features as rankers of one scope see them, memory-mapped.

    In scope `all` one ranker serves every vertical, and ids are numbered over all training rows. In scope `vertical`
    each ranker serves one, and the ids of a row are those of its vertical. Numbers are the same in both.

    Args:
        fingerprint: what the view shows, and how (see `Impressions.view`).
        scope: whose ids.
        features: names of the features seen, in the order of the settings.
        settings: what they mean.
        verticals: names of the verticals.
        words: for each table with a vocabulary, what gives the value of each code, null first.
        base: folder of what belongs to no scope.
        folder: folder of the records.

    Attributes:
        hide: what is to be hidden of training rows.
    """

    def __init__(
        self,
        fingerprint: str,
        scope: Scope,
        features: Sequence[str],
        settings: DataSettings,
        verticals: Sequence[str],
        words: Mapping[str, Callable[[], pl.Series]],
        base: Path,
        folder: Path,
    ) -> None:
        self.fingerprint, self.scope, self.settings = fingerprint, scope, settings
        self.verticals, self._words, self.base, self.folder = tuple(verticals), words, base, folder
        self.heights: dict[str, list[int]] = read_json(folder / MANIFEST)["heights"]
        self.features = {name: settings.features[name] for name in features}
        self.hide = Hiding.of(self.features)
        self._layout = layout(self.features, len(settings.tasks), self.heights)
        self._ids = getattr(torch, self._layout.ids.name)
        self._hold(torch.device("cpu"))

    @property
    def size(self) -> int:
        """Bytes of all that rows are gathered from."""
        return sum(
            one.untyped_storage().nbytes() for one in (self._record, *self._windows.values(), *self._vectors.values())
        )

    def on(self, device: torch.device) -> "View":
        """The same, gathered from a copy on a device, whose batches lie there."""
        there = copy.copy(self)
        there._hold(device)
        return there

    def schema(self, vertical: str | None) -> FeatureSchema:
        """What a ranker sees: of `vertical`, or in scope `all` (None) of every vertical."""
        group = self._group(vertical)
        return FeatureSchema(
            tasks=tuple(self.settings.tasks),
            verticals=len(self.verticals) if self.scope == "all" else 1,
            tables={table: heights[group] for table, heights in self.heights.items()},
            categorical=tuple(of_kind(self.features, *IDS)),
            numeric=tuple(numeric_columns(self.features)),
            sequences=tuple(map(self._field, self._layout.shapes)),
            vectors={name: table.shape[1] for name, table in self._vectors.items()},
        )

    def take(self, rows: Int[Tensor, "*members rows"]) -> Batch:
        """Gathers the impressions with these row numbers, without knowledge.

        Row -1 fills up a batch: it weighs nothing, every id of it is `UNSEEN`, which each ranker has, and its histories
        are empty.
        """
        at, flat, device = self._layout, rows.flatten(), self._record.device
        filled = flat.numel() > 0 and bool(flat.amin() < 0)
        flat = (flat.clamp(min=0) if filled else flat).to(device)
        record = self._record.index_select(0, flat).view(*rows.shape, -1)
        if filled:  # A fill that is broadcast takes as long as the gather.
            record.masked_fill_((rows < 0)[..., None].to(device), 0)
        numbers, words, ids = record.view(torch.float32), record.view(torch.int64), record.view(self._ids)
        vectors = {name: table.index_select(0, flat).unflatten(0, rows.shape) for name, table in self._vectors.items()}
        return Batch(
            features=Features(
                vertical=record[..., at.vertical.start].long()
                if self.scope == "all"
                else torch.zeros_like(rows, device=device),
                categorical=ids[..., at.categorical].int(),
                numeric=numbers[..., at.numeric],
                sequences={name: self._events(name, words[..., place]) for place, name in enumerate(at.shapes)},
                vectors=vectors,
            ),
            label=numbers[..., at.label],
            valid=record[..., at.valid] != 0,
            weight=numbers[..., at.weight.start],
            knowledge={},
        )

    def _events(self, name: str, words: Int[Tensor, "*members rows"]) -> Int[Tensor, "*members rows steps columns"]:
        """The events of a history, filled up with `PAD`: one window a row, whose end belongs to the rows behind it."""
        flat = words.flatten()
        steps, columns = self._layout.shapes[name]
        found = self._windows[name].index_select(0, flat >> LENGTH_BITS)
        missing = steps - (flat & ((1 << LENGTH_BITS) - 1))
        if found.device.type != "cpu" or missing.any():  # To ask would be to wait for the device.
            found.bitwise_or_(self._fills[name].index_select(0, missing))
        return found.int().view(*words.shape, steps, columns)

    def _hold(self, device: torch.device) -> None:
        """Opens what rows are gathered from, memory-mapped on a processor and copied elsewhere."""
        held = lambda path: torch.from_numpy(opened(path)).to(device)  # noqa: E731
        shapes = self._layout.shapes
        self._record = held(self.folder / "record.npy")
        events = {name: held(sequence_file(self.folder, self.settings, name)) for name in shapes}
        self._windows = {name: _windows(events[name], shapes[name][0]) for name in shapes}
        self._fills = {name: self._fill(name) for name in shapes}
        self._vectors = {name: held(self._vector_file(name)) for name in of_kind(self.features, Vector)}

    def _fill(self, name: str) -> Int[Tensor, "missing width"]:
        """For each number of steps that a history lacks, what its window is joined with: `PAD`, all of whose bits are
        set, behind its end. A gather from these few numbers takes a quarter of the time of a comparison and a fill."""
        steps, columns = self._layout.shapes[name]
        ends = torch.tensor([0, PAD]).to(self._windows[name]).repeat_interleave(steps)
        return _windows(ends[:, None].repeat(1, columns), steps)

    def _vector_file(self, name: str) -> Path:
        return self.base / f"vector-{list(self.settings.features).index(name)}.npy"

    def values(self, table: str, vertical: str | None) -> pl.Series | None:
        """The value of each id of a table, null where it is `UNSEEN` or null; None where ids are computed."""
        if table not in self._words:
            return None
        group, heights = self._group(vertical), self.heights[table]
        first = sum(height - 1 for height in heights[:group])
        codes = opened(table_file(self.folder, self.settings, table))[first : first + heights[group] - 1]
        return self._words[table]().gather(np.append(0, codes))

    def _group(self, vertical: str | None) -> int:
        if self.scope == "all":
            assert vertical is None, "a ranker of all verticals has one schema"
            return 0
        assert vertical is not None, "each vertical has its own schema"
        return self.verticals.index(vertical)

    def _field(self, name: str) -> SequenceField:
        feature = self.features[name]
        return SequenceField(
            name=name,
            length=feature.length,
            tables=tuple(use.table for use in uses({name: feature})),
            ordered=isinstance(feature, History),
            pool=feature.pool if isinstance(feature, MultiValued) else "mean",
            times=isinstance(feature, History) and feature.times is not None,
        )


def _windows(events: Int[Tensor, "events columns"], steps: int) -> Int[Tensor, "starts width"]:
    """So many steps from each event on: views of one table that overlap."""
    count, columns = events.shape
    return events.as_strided((count - steps + 1, steps * columns), (columns, 1))
