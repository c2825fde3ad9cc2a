"""Small impressions of every kind, for tests."""

from dataclasses import replace

import torch
from torch import Tensor

from distill.types import PAD, Features, FeatureSchema, SequenceField


def example_schema() -> FeatureSchema:
    """A schema with a little of everything: three verticals, a history of two columns, two sets, a vector."""
    return FeatureSchema(
        tasks=("click",),
        verticals=3,
        tables={"item": 30, "device": 4, "topic": 9},
        categorical=("item", "device"),
        numeric=("age", "price", "hour"),
        sequences=(
            SequenceField("clicked", 5, ("item", "topic")),
            SequenceField("topics", 3, ("topic",), ordered=False),
            SequenceField("devices", 2, ("device",), ordered=False, pool="sum"),
        ),
        vectors={"text": 4},
    )


def example_schemas() -> dict[str, FeatureSchema]:
    """What a ranker must cope with: the example, and the example without this or that."""
    whole = example_schema()
    history = whole.sequences[:1]
    return {
        "every kind of feature": whole,
        "two tasks": replace(whole, tasks=("click", "conversion")),
        "one vertical": replace(whole, verticals=1),
        "no numeric features": replace(whole, numeric=()),
        "no sequences": replace(whole, sequences=()),
        "categorical features only": replace(whole, numeric=(), sequences=(), vectors=None),
        "a history only": replace(whole, categorical=(), numeric=(), sequences=history, vectors=None),
        "numeric features only": replace(whole, tables={}, categorical=(), sequences=(), vectors=None),
    }


def example_features(schema: FeatureSchema, rows: int, generator: torch.Generator) -> Features:
    """Random features of a schema; histories and sets of every length, from none to full.

    Example:
        >>> features = example_features(example_schema(), 6, torch.Generator().manual_seed(0))
        >>> features.categorical.shape, features.sequences["clicked"].shape
        (torch.Size([6, 2]), torch.Size([6, 5, 2]))
    """

    def ids(tables: tuple[str, ...], *shape: int) -> Tensor:
        columns = [torch.randint(schema.tables[table], shape, generator=generator) for table in tables]
        return torch.stack(columns, -1) if columns else torch.zeros(*shape, 0, dtype=torch.int64)

    def sequence(field: SequenceField) -> Tensor:
        length = torch.randint(field.length + 1, (rows, 1), generator=generator)
        absent = torch.arange(field.length) >= length
        return ids(field.tables, rows, field.length).masked_fill(absent.unsqueeze(-1), PAD)

    return Features(
        vertical=torch.randint(schema.verticals, (rows,), generator=generator),
        categorical=ids(schema.categorical, rows),
        numeric=torch.randn(rows, len(schema.numeric), generator=generator),
        sequences={field.name: sequence(field) for field in schema.sequences},
        vectors={name: torch.randn(rows, width, generator=generator) for name, width in (schema.vectors or {}).items()},
    )
