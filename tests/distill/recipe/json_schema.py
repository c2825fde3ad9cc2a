"""As much of JSON Schema as our schema uses, so that it can be judged without an editor."""

from collections.abc import Callable
from itertools import repeat
from typing import Any

Json = dict[str, Any]
TYPES = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
    "object": dict,
    "array": list,
}
SILENT = {"$schema", "$defs", "title", "description", "default", "format", "pattern", "discriminator", "propertyNames"}
"""Keywords that say nothing about validity here, or that no test depends on."""


def is_valid(value: Any, schema: Json, root: Json) -> bool:
    """Whether a value fits; an unknown keyword fails the test, so that none is overlooked."""
    assert schema.keys() <= SILENT | CHECKS.keys() | {"then", "else", "additionalProperties"}, sorted(schema)
    return all(CHECKS[key](value, schema, root) for key in schema if key in CHECKS)


def _type(value: Any, schema: Json, _root: Json) -> bool:
    is_bool = isinstance(value, bool)
    return isinstance(value, TYPES[schema["type"]]) and (not is_bool or schema["type"] == "boolean")


def _conditional(value: Any, schema: Json, root: Json) -> bool:
    return is_valid(value, schema["then" if is_valid(value, schema["if"], root) else "else"], root)


def _properties(value: Any, schema: Json, root: Json) -> bool:
    if not isinstance(value, dict):
        return True
    named, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    for key, below in value.items():
        rule = named.get(key, others)
        if rule is False or (rule is not True and not is_valid(below, rule, root)):
            return False
    return True


def _reference(value: Any, schema: Json, root: Json) -> bool:
    return is_valid(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root)


def _number(test: Callable[[Any, Any], bool], keyword: str) -> Callable[[Any, Json, Json], bool]:
    return lambda value, schema, _root: not isinstance(value, int | float) or test(value, schema[keyword])


CHECKS: dict[str, Callable[[Any, Json, Json], bool]] = {
    "type": _type,
    "enum": lambda value, schema, _root: value in schema["enum"],
    "const": lambda value, schema, _root: value == schema["const"],
    "$ref": _reference,
    "anyOf": lambda value, schema, root: any(is_valid(value, part, root) for part in schema["anyOf"]),
    "oneOf": lambda value, schema, root: sum(is_valid(value, part, root) for part in schema["oneOf"]) == 1,
    "required": lambda value, schema, _root: not isinstance(value, dict) or set(schema["required"]) <= value.keys(),
    "properties": _properties,
    "additionalProperties": _properties,
    "items": lambda value, schema, root: (
        not isinstance(value, list) or all(is_valid(v, schema["items"], root) for v in value)
    ),
    "prefixItems": lambda value, schema, root: (
        not isinstance(value, list) or all(map(is_valid, value, schema["prefixItems"], repeat(root)))
    ),
    "if": _conditional,
    "minimum": _number(lambda value, bound: value >= bound, "minimum"),
    "maximum": _number(lambda value, bound: value <= bound, "maximum"),
    "exclusiveMinimum": _number(lambda value, bound: value > bound, "exclusiveMinimum"),
    "exclusiveMaximum": _number(lambda value, bound: value < bound, "exclusiveMaximum"),
    "minItems": lambda value, schema, _root: not isinstance(value, list) or len(value) >= schema["minItems"],
    "maxItems": lambda value, schema, _root: not isinstance(value, list) or len(value) <= schema["maxItems"],
    "minProperties": lambda value, schema, _root: not isinstance(value, dict) or len(value) >= schema["minProperties"],
}
