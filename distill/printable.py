"""Text that a terminal can show: a name may hold what would end a line, move the cursor or turn the text round."""

import re
from typing import Any

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Control characters, line and paragraph separators, and those that set the direction of the text."""


def printable(value: Any) -> Any:
    """Plain values with every control character of their texts and keys written out, as Python and JSON write it.

    >>> printable({"a\\nb": ["\\x1b[2J", 1]})
    {'a\\\\nb': ['\\\\x1b[2J', 1]}
    """
    if isinstance(value, str):
        return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), value)
    if isinstance(value, dict):
        return {printable(key) if isinstance(key, str) else key: printable(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [printable(below) for below in value]
    return value
