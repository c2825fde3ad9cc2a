"""Points: what a sweep is made of, each a complete recipe."""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import numpy as np

from distill.errors import Fault, RecipeError, nearest, suggestion
from distill.fingerprint import derived_seed
from distill.recipe import Recipe


class Point(NamedTuple):
    """One choice of everything that a sweep varies.

    Attributes:
        name: short, and no other's.
        changes: dotted key -> value, beyond the recipe that the sweep starts from.
        recipe: complete.
        verticals: pattern -> the recipe for the verticals whose names match; the last pattern that fits decides.
    """

    name: str
    changes: dict[str, Any]
    recipe: Recipe
    verticals: tuple[tuple[str, Recipe], ...] = ()

    @property
    def recipes(self) -> list[Recipe]:
        """Its own, then those for some verticals."""
        return [self.recipe, *(recipe for _, recipe in self.verticals)]

    def number_of(self, vertical: str) -> int:
        """Place, among `recipes`, of the one that holds for a vertical."""
        fitting = [place for place, (pattern, _) in enumerate(self.verticals, 1) if fnmatchcase(vertical, pattern)]
        return fitting[-1] if fitting else 0

    def at(self, passes: int) -> "Point":
        """The same point with another budget."""
        verticals = tuple((pattern, _with_passes(recipe, passes)) for pattern, recipe in self.verticals)
        return self._replace(recipe=_with_passes(self.recipe, passes), verticals=verticals)


def check_patterns(points: Iterable[Point], verticals: Iterable[str]) -> None:
    """Refuses patterns that fit no vertical: what they say would hold for nobody, and nobody would know.

    Args:
        points: those of a sweep.
        verticals: names of all that the data of any of them have.

    Raises:
        RecipeError: with a fault for each such pattern.
    """
    names = sorted(set(verticals))
    patterns = dict.fromkeys(pattern for point in points for pattern, _ in point.verticals)
    lost = [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in names)]
    if lost:
        what = "fits no vertical."
        raise RecipeError(*(Fault(f"verticals.{pattern}", what, _meant(pattern, names)) for pattern in lost))


def _meant(pattern: str, names: Sequence[str]) -> str:
    """The vertical that looks most like a pattern; `Cofee*` is compared with names, their beginnings and their ends."""
    stem = re.sub(r"[*?[\]]", "", pattern)
    parts = {part: name for name in names for part in (name[: len(stem)], name[-len(stem) :])}
    parts |= {name: name for name in names}
    found = nearest(stem, parts) if stem else None
    return f'Did you mean "{parts[found]}"?' if found else suggestion(stem, names)


class Halving(NamedTuple):
    """Successive halving: all points with a small budget, the best of them with a larger one, and so on.

    Jamieson, Talwalkar: Non-stochastic Best Arm Identification and Hyperparameter Optimization, 2016.

    Attributes:
        passes: budgets, growing.
        keep: share of the points that goes on after each but the last.
    """

    passes: tuple[int, ...]
    keep: float

    def left(self, points: int) -> int:
        """How many of so many points go on."""
        return max(1, math.ceil(points * self.keep))


class Range(NamedTuple):
    """Where values of a key are drawn from, both ends among them.

    Attributes:
        low: the least; a positive number where `log`.
        high: the greatest.
        log: whether each factor is as likely as any other.
    """

    low: float
    high: float
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether its values are whole numbers: both ends are, and it is no range of factors."""
        return isinstance(self.low, int) and isinstance(self.high, int) and not self.log

    def draw(self, key: str, number: int) -> float:
        """A value by chance, which depends on a key and a number alone."""
        share = np.random.default_rng(derived_seed(number, "random", key)).random()
        if self.whole:
            return int(self.low) + int(share * (self.high - self.low + 1))
        if self.log:
            return readable(math.exp(math.log(self.low) + share * math.log(self.high / self.low)))
        return readable(self.low + share * (self.high - self.low))


def readable(value: float) -> float:
    """Four digits are enough to draw from, and can be read."""
    return float(f"{value:.4g}")


class Search(NamedTuple):
    """Points beside those of a sweep, each asked for when what the ones before it gave is known.

    Attributes:
        trials: how many; the sweep itself has as many by chance, to compare with.
        batch: how many are asked for, and trained as one, before anything is told of them.
        per_vertical: whether each vertical is searched for by itself, in place of all as one.
        space: dotted key -> its range.
        point: name and values -> that point.
    """

    trials: int
    batch: int
    per_vertical: bool
    space: dict[str, Range]
    point: Callable[[str, Mapping[str, float]], Point]


class Sweep(NamedTuple):
    """Points in their order, which is a function of the file alone.

    Attributes:
        name: of the sweep.
        points: at least one; they differ in data, teacher, students or seed, and in nothing else.
        halving: which of them train on; without it all have the budget of their recipe.
        search: what is asked for beside them.
    """

    name: str
    points: list[Point]
    halving: Halving | None = None
    search: Search | None = None

    @property
    def base(self) -> Recipe:
        """A recipe that says what is the same for all points: store, tracking, evidence, workers, device."""
        return self.points[0].recipe


def _with_passes(recipe: Recipe, passes: int) -> Recipe:
    students = recipe.students
    train = students.train.model_copy(update={"epochs": passes})
    return recipe.model_copy(update={"students": students.model_copy(update={"train": train})})


def names(changes: Sequence[Mapping[str, Any]]) -> list[str]:
    """A short name for each point: what tells it from the others, by the last words of the keys.

    >>> names([{"students.train.learning_rate": 0.001, "seed": 0}, {"students.train.learning_rate": 0.002, "seed": 0}])
    ['learning_rate=0.001', 'learning_rate=0.002']
    """
    short = _short({key for one in changes for key in one})
    same = _same(changes) if len(changes) > 1 else set()
    found: list[str] = []
    for one in changes:
        name = " ".join(f"{short[key]}={_said(value)}" for key, value in one.items() if key not in same) or "base"
        copies = sum(other == name or other.startswith(f"{name} #") for other in found)
        found.append(f"{name} #{copies + 1}" if copies else name)
    return found


def _same(changes: Sequence[Mapping[str, Any]]) -> set[str]:
    """Keys that have one value in all points."""
    first, *others = changes
    return {key for key in first if all(key in one and one[key] == first[key] for one in others)}


def _short(keys: Iterable[str]) -> dict[str, str]:
    """Key -> as many of its last words as it takes to tell it from the others."""
    keys = sorted(keys)
    short = {}
    for key in keys:
        words = key.split(".")
        tails = [".".join(words[-count:]) for count in range(1, len(words) + 1)]
        short[key] = next(
            tail for tail in tails if sum(f".{other}".endswith(f".{tail}") for other in keys) == 1 or tail == key
        )
    return short


def _said(value: Any) -> str:
    if isinstance(value, dict) and isinstance(value.get("class"), str):
        return value["class"].rpartition(".")[2]
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
