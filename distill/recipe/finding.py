"""Finding: a relation between keys of a recipe that does not hold."""

from typing import NamedTuple

from distill.recipe.tree import KeyPath


class Finding(NamedTuple):
    """One relation that does not hold.

    Attributes:
        path: the key to point at.
        what: what is wrong.
        remedy: what to do.
        reads: the keys on which the finding rests; where one of them is wrong by itself, it is not told.
    """

    path: KeyPath
    what: str
    remedy: str
    reads: tuple[KeyPath, ...] = ()
