"""What is wrong with a value, in the words of a user: from pydantic's findings to sentences."""

import json
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from distill.errors import nearest
from distill.recipe.shape import all_keys, peel

EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "path_type": "a path",
    "tuple_type": "a list",
    "list_type": "a list",
    "set_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
    "greater_than": "a number above {gt:g}",
    "greater_than_equal": "a number of at least {ge:g}",
    "less_than": "a number below {lt:g}",
    "less_than_equal": "a number of at most {le:g}",
    "multiple_of": "a multiple of {multiple_of:g}",
    "too_short": "{min_length} or more entries",
    "too_long": "{max_length} entries or fewer",
    "string_too_short": "text of at least {min_length} characters",
    "string_too_long": "text of at most {max_length} characters",
}
"""Pydantic's type of error -> what it expected."""


def shown(value: Any) -> str:
    """A value as a message shows it: short, text in quotes.

    >>> shown("three"), shown(None), shown([1, 2]), shown(0.5)
    ('"three"', 'nothing', 'a list', '0.5')
    """
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "keys and values" if value else "an empty map"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def expected(error: ErrorDetails) -> str | None:
    """What pydantic expected, or None where the error is a sentence of its own."""
    context = error.get("ctx", {})
    if error["type"] in ("literal_error", "enum"):
        return context["expected"].replace("'", '"')
    pattern = EXPECTED.get(error["type"])
    return pattern.format(**context) if pattern else None


def wrong_value(errors: Sequence[ErrorDetails], annotation: Any, description: str) -> tuple[str, str]:
    """What is wrong with one value, and what to do: from all that pydantic says of it.

    Args:
        errors: one for each type that would have been valid there.
        annotation: what the section says of the key.
        description: what the key means; the remedy where a pattern is not met.
    """
    value = errors[0]["input"]
    wanted = list(dict.fromkeys(filter(None, map(expected, errors))))
    if wanted:
        return f"expected {' or '.join(wanted)}, not {shown(value)}.", _remedy(value, wanted, annotation)
    if errors[0]["type"] == "string_pattern_mismatch":
        return f"{shown(value)} does not fit.", description
    reason = errors[0].get("ctx", {}).get("error", errors[0]["msg"])
    return f"{str(reason).rstrip('.')}.", ""


def converted(value: Any, taken: Any) -> tuple[str, str]:
    """What to say where a value would have been silently taken for another type, such as "3" for 3."""
    kind = "true or false" if isinstance(taken, bool) else "a whole number" if isinstance(taken, int) else "a number"
    return f"expected {kind}, not {shown(value)}.", "Remove the quotes." if isinstance(value, str) else ""


def description(section: type[BaseModel] | None, key: str) -> str:
    """The first line of what a section says of a key; empty where it says nothing."""
    fields = section.model_fields.items() if section else ()
    said = next((field.description for name, field in fields if key in (name, field.alias)), None)
    return said.splitlines()[0] if said else ""


def missing(section: type[BaseModel] | None, key: str, names: Sequence[str]) -> tuple[str, str]:
    """What to say of a key that must be there; `names` are its valid values, where they are a short list."""
    meaning = f"one of {', '.join(names)}." if names else description(section, key)
    return f'"{key}" is missing.', f"Add it: {meaning[:1].lower()}{meaning[1:]}" if meaning else "Add it."


def options(annotation: Any) -> list[str]:
    """The words that a value may be, where it may only be one of some words."""
    kind, _ = peel(annotation)
    return [word for word in get_args(kind) if isinstance(word, str)]


def _remedy(value: Any, wanted: Sequence[str], annotation: Any) -> str:
    words = options(annotation)
    if value is None and "weight" in all_keys(annotation):
        return "To switch it off, set its weight to 0."
    if isinstance(value, str) and words:
        match = nearest(value, words)
        return f'Did you mean "{match}"?' if match else ""
    if isinstance(value, str) and any(kind.endswith("number") for kind in wanted):
        return "Remove the quotes." if _is_number(value) else ""
    if "text" in wanted and isinstance(value, bool | int | float):
        return "Put it in quotes if it is a name."
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
