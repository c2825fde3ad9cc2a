"""Everything that can go wrong, as one tree.

DistillError                     a fault with a cause a user can mend; exit code 2
+-- RecipeError                  the recipe, an override or the call is wrong
+-- DataError                    the impressions are missing, mistyped or break their contract
+-- KnowledgeError               a table of knowledge cannot be used
|   +-- KnowledgeMismatch        it was written by another teacher, for other rows or other tasks
|   +-- KnowledgeLeak            its scores have seen labels that the reader is about to be judged on
+-- ExportError                  an exported student is damaged, was changed, or does not say what it said in evaluation
+-- StoreError                   the store cannot be read or written (full disk, no permission, damaged file)
+-- TrainingError                no member of a cohort could be trained

Each error carries a list of faults. A fault says what is wrong, where, and what to do.
"""

import difflib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

LISTED = 12
"""Most names that a message lists unless it is told otherwise."""


class Fault(NamedTuple):
    """One thing that is wrong.

    Attributes:
        where: file, line and key path of a recipe; or file, column and row of a table.
        what: what was found, and what was expected.
        remedy: what to do about it; empty where `what` already says so.
    """

    where: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.what}" + (f" {self.remedy}" if self.remedy else "")


class DistillError(Exception):
    """A fault with a cause that a user can mend; the command line prints it and exits with 2."""

    def __init__(self, *faults: Fault | str) -> None:
        self.faults = [fault if isinstance(fault, Fault) else Fault("", fault) for fault in faults]
        super().__init__("\n".join(map(str, self.faults)))


class RecipeError(DistillError):
    """The recipe, one of its overrides, or the call itself is wrong. Raised before any data is read."""


class DataError(DistillError):
    """The impressions are missing, mistyped, or break what the recipe says of them."""


class KnowledgeError(DistillError):
    """A table of knowledge cannot be used."""


class KnowledgeMismatch(KnowledgeError):
    """The knowledge was written by another teacher, for other rows, or for other tasks."""


class KnowledgeLeak(KnowledgeError):
    """The knowledge has seen labels that its reader is about to be judged on."""


class ExportError(DistillError):
    """An exported student cannot be made or used: damaged, changed, or other numbers than in evaluation."""


class StoreError(DistillError):
    """The store cannot be read or written: a full disk, a missing permission, a damaged file."""


class TrainingError(DistillError):
    """No member of a cohort could be trained."""


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """The valid name that looks most like `name`, in whichever case it is written, or None where nothing does.

    >>> nearest("studnets", ["students", "teacher"]), nearest("LABEL", ["lapel", "Label"])
    ('students', 'Label')
    """
    meant, names = name.casefold(), {other.casefold(): other for other in valid}
    swapped = [other for other in names if sorted(other) == sorted(meant)]
    matches = [meant] if meant in names else swapped or difflib.get_close_matches(meant, names, n=1, cutoff=0.6)
    return names[matches[0]] if matches else None


def suggestion(name: str, valid: Sequence[str], most: int = LISTED) -> str:
    """The sentence that names the nearest valid name, or lists what is valid.

    >>> suggestion("studnets", ["students", "teacher"])
    'Did you mean "students"?'
    """
    match = nearest(name, valid)
    return f'Did you mean "{match}"?' if match else f"Valid: {listed(sorted(valid), most)}."


def listed(names: Sequence[str], most: int = LISTED) -> str:
    """The first of some names, and how many more there are.

    >>> listed(["a", "b", "c", "d"], 2)
    'a, b and 2 more'
    """
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def first_line(error: Exception) -> str:
    """What another library says of an error, as a part of a sentence: its first line, without a full stop.

    >>> first_line(ValueError("it is too large.\\nmore")), first_line(TypeError())
    ('it is too large', 'TypeError')
    """
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
