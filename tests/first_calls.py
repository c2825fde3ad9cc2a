"""Shapes and types are checked in the first calls that a test makes of a function; the rest of a training repeats them.

Checking every step takes as long as the steps themselves. This is the checker that pyproject.toml names.
"""

import inspect
import sys
from collections import Counter
from collections.abc import Callable
from types import FunctionType

from beartype import beartype

CALLS = 20

_calls: Counter[tuple[str, str]] = Counter()
_spared: list[FunctionType] = []


def checked(function: FunctionType) -> Callable[..., object]:
    """beartype, which is put off to the first call: most functions are never called by one test process."""
    made: list[Callable[..., object]] = []
    name = (function.__module__, function.__qualname__)

    def check(*values: object, **named: object) -> object:
        _calls[name] += 1
        if _calls[name] == CALLS:
            _spare(*name)
        if not made:
            made.append(beartype(function))
        return made[0](*values, **named)

    return check


def begin() -> None:
    """Every function is checked again."""
    _calls.clear()
    while _spared:
        del _spared.pop().__no_type_check__


def _spare(module: str, path: str) -> None:
    """Tells jaxtyping to call a function as it is; one that was made within another has no place to be found at."""
    found: object = sys.modules[module]
    for name in path.split("."):
        found = inspect.getattr_static(found, name, None)
    found = inspect.unwrap(getattr(found, "fget", None) or getattr(found, "__func__", found))
    if isinstance(found, FunctionType) and found.__qualname__ == path:
        found.__no_type_check__ = True
        _spared.append(found)
