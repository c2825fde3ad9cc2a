"""View: the features that rankers of one scope may see, gathered a whole batch at a time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import torch
from jaxtyping import Float, Int
from torch import Tensor

from distill.data.columns import feature_file, table_file
from distill.data.encoding import known_values
from distill.data.layout import layout, numeric_columns, of_kind
from distill.data.sealed import MANIFEST, opened
from distill.data.settings import Categorical, DataSettings, MultiValued, Vector
from distill.data.settings import Sequence as History
from distill.data.tables import uses
from distill.files import read_json
from distill.types import Batch, Features, FeatureSchema, SequenceField

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
        base: folder of the columns that belong to no scope.
        folder: folder of the records.

    Attributes:
        hide: share of training rows whose id is to be hidden, for each categorical feature.
    """

    hide: Float[Tensor, " fields"]

    def __init__(
        self,
        fingerprint: str,
        scope: Scope,
        features: Sequence[str],
        settings: DataSettings,
        verticals: Sequence[str],
        base: Path,
        folder: Path,
    ) -> None:
        self.fingerprint, self.scope, self.settings = fingerprint, scope, settings
        self.verticals, self.base, self.folder = tuple(verticals), base, folder
        self.heights: dict[str, list[int]] = read_json(folder / MANIFEST)["heights"]
        self.features = {name: settings.features[name] for name in features}
        self.hide = torch.tensor([self.features[name].hide for name in of_kind(self.features, Categorical)])
        self._layout = layout(self.features, len(settings.tasks))
        self._record = _tensor(folder / "record.npy")
        self._vectors = {name: _tensor(feature_file(base, settings, name)) for name in of_kind(self.features, Vector)}

    def schema(self, vertical: str | None) -> FeatureSchema:
        """What a ranker sees: of `vertical`, or in scope `all` (None) of every vertical."""
        group = self._group(vertical)
        return FeatureSchema(
            tasks=tuple(self.settings.tasks),
            verticals=len(self.verticals) if self.scope == "all" else 1,
            tables={table: heights[group] for table, heights in self.heights.items()},
            categorical=tuple(of_kind(self.features, Categorical)),
            numeric=tuple(numeric_columns(self.features)),
            sequences=tuple(map(self._field, self._layout.sequences)),
            vectors={name: table.shape[1] for name, table in self._vectors.items()},
        )

    def take(self, rows: Int[Tensor, "*members rows"]) -> Batch:
        """Gathers the impressions with these row numbers, without knowledge.

        Row -1 fills up a batch: it weighs nothing, and every id of it is `UNSEEN`, which each ranker has.
        """
        at, flat = self._layout, rows.flatten().clamp(min=0)
        record = self._record.index_select(0, flat).unflatten(0, rows.shape)
        record.masked_fill_((rows < 0)[..., None], 0)
        numbers = record.view(torch.float32)
        vectors = {name: table.index_select(0, flat).unflatten(0, rows.shape) for name, table in self._vectors.items()}
        return Batch(
            features=Features(
                vertical=record[..., at.vertical.start].long() if self.scope == "all" else torch.zeros_like(rows),
                categorical=record[..., at.categorical],
                numeric=numbers[..., at.numeric],
                sequences={
                    name: record[..., slot].unflatten(-1, at.shapes[name]) for name, slot in at.sequences.items()
                },
                vectors=vectors,
            ),
            label=numbers[..., at.label],
            valid=record[..., at.valid] != 0,
            weight=numbers[..., at.weight.start],
            knowledge={},
        )

    def values(self, table: str, vertical: str | None) -> pl.Series | None:
        """The value that each id of a table stands for, null where it is `UNSEEN` or null; None for a hashed table."""
        rule = self.settings.features.get(table)
        if isinstance(rule, Categorical) and rule.hash:
            return None
        group = self._group(vertical)
        first = sum(height - 1 for height in self.heights[table][:group])
        codes = opened(table_file(self.folder, self.settings, table).with_suffix(".npy"))
        known = known_values(self.base, self.settings, table)
        return known.gather(np.append(len(known) - 1, codes[first : first + self.heights[table][group] - 1]))

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
        )


def _tensor(path: Path) -> Tensor:
    return torch.from_numpy(opened(path))
