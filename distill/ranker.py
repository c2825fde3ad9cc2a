"""Ranker: the one signature of everything that scores impressions, and how a recipe names one."""

import importlib
import importlib.metadata
from abc import ABC, abstractmethod
from functools import cache
from typing import ClassVar

from torch import nn

from distill.errors import Fault, RecipeError, suggestion
from distill.types import Features, Prediction, Settings

ENTRY_POINT = "distill.rankers"
"""Entry-point group through which another package offers its rankers to recipes."""


class Ranker(nn.Module, ABC):
    """Scores impressions. Abstract; a concrete one is final, has a `Config`, and is built as `Model(schema, config)`.

    A ranker is written for one vertical. It never sees labels, knowledge, or other members of a fleet.
    """

    Config: ClassVar[type[Settings]]
    """What a recipe may set of it, declared here and nowhere else."""
    unseen_at_scoring: tuple[str, ...] = ()
    """Features that it takes for unseen outside training, such as the place on a page; its knowledge says so."""

    @abstractmethod
    def forward(self, features: Features) -> Prediction:
        """Scores `rows` impressions; each row's score depends on that row alone."""


@cache
def packages() -> tuple[str, ...]:
    """Import packages in which a recipe may name a ranker: ours, and those offered by entry point."""
    offered = (point.value.partition(":")[0] for point in importlib.metadata.entry_points(group=ENTRY_POINT))
    return ("students", "teachers", *sorted(offered))


def available(package: str) -> list[str]:
    """Class paths of the rankers that `package` offers, from its sorted `__all__`."""
    module = importlib.import_module(package)
    return [f"{package}.{name}" for name in module.__all__]


def resolve(path: str) -> type[Ranker]:
    """The ranker class named by a class path such as `students.DCNv2`.

    Only packages of `packages()` are imported, and only names they offer are looked at, so that a
    stranger's recipe cannot make us import anything else.

    Raises:
        RecipeError: the package may not be named, or offers no such ranker.
    """
    package = next((name for name in packages() if path.startswith(f"{name}.")), None)
    if package is None:
        raise RecipeError(
            Fault("", f'"{path}" is not in a package that a recipe may name.', f"Packages: {', '.join(packages())}.")
        )
    if path not in available(package):
        raise RecipeError(Fault("", f'"{path}" does not exist.', suggestion(path, available(package))))
    found = getattr(importlib.import_module(package), path.removeprefix(f"{package}."))
    if not (isinstance(found, type) and issubclass(found, Ranker)):
        raise RecipeError(Fault("", f'"{path}" is not a Ranker.', suggestion(path, available(package))))
    return found
