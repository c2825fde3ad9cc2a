"""Selection: some of the features of a schema, by their names."""

from collections.abc import Sequence
from dataclasses import replace

from distill.errors import Fault, RecipeError, suggestion
from distill.types import Features, FeatureSchema


class Selection:
    """Cuts some features out of all of them: `schema` says what they are, a call what they say.

    Args:
        schema: every feature.
        names: those to keep, of any kind; the order of the schema stays.
        setting: the setting that names them, for the message.

    Raises:
        RecipeError: no feature has such a name; all such names at once.
    """

    def __init__(self, schema: FeatureSchema, names: Sequence[str], setting: str) -> None:
        _refuse_unknown(schema, names, setting)
        categorical = tuple(name for name in schema.categorical if name in names)
        numeric = tuple(name for name in schema.numeric if name in names)
        sequences = tuple(field for field in schema.sequences if field.name in names)
        read = {*categorical, *(table for field in sequences for table in field.tables)}
        self.schema = replace(
            schema,
            tables={name: height for name, height in schema.tables.items() if name in read},
            categorical=categorical,
            numeric=numeric,
            sequences=sequences,
            vectors={name: width for name, width in (schema.vectors or {}).items() if name in names},
        )
        self.categorical = [schema.categorical.index(name) for name in categorical]
        self.numeric = [schema.numeric.index(name) for name in numeric]

    def __call__(self, features: Features) -> Features:
        return Features(
            features.vertical,
            features.categorical[..., self.categorical],
            features.numeric[..., self.numeric],
            {field.name: features.sequences[field.name] for field in self.schema.sequences},
            {name: features.vectors[name] for name in self.schema.vectors},
        )


def feature_names(schema: FeatureSchema) -> tuple[str, ...]:
    """The names of all features of a schema."""
    return (
        *schema.categorical,
        *schema.numeric,
        *(field.name for field in schema.sequences),
        *(schema.vectors or {}),
    )


def _refuse_unknown(schema: FeatureSchema, names: Sequence[str], setting: str) -> None:
    known = feature_names(schema)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise RecipeError(
            *(Fault(setting, f'The ranker sees no feature "{name}".', suggestion(name, known)) for name in unknown)
        )
