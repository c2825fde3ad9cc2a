"""Checks a tree against the sections, and goes on after a fault, so that one mistake hides no other.

Each round asks for everything that is wrong. A misspelt key is told and then read as the key that was meant, a wrong
value is told and then left out, and the next round finds what stood behind them.
"""

import difflib
from dataclasses import dataclass, field
from typing import Any

from distill.recipe import shape
from distill.recipe.combining import merge, spell_out
from distill.recipe.problems import Problem, model_problems, models, recipe_problems
from distill.recipe.sections import Recipe
from distill.recipe.tree import KeyPath, Node, Place, Report

ROUNDS = 20
"""Most rounds; each mends at least one fault, and faults hide behind faults only as deep as sections nest."""

SURE = 0.8
"""Likeness from which a misspelt key is taken for the key that was meant, and its value is checked as well."""


@dataclass
class Checked:
    """What the checks leave: a recipe that holds together, if one could be made of it, and the places not to trust."""

    recipe: Recipe | None
    doubtful: set[KeyPath]

    def trusts(self, path: KeyPath) -> bool:
        """Whether nothing was found wrong at a path or above it."""
        return not _covers(self.doubtful, path)


def check(tree: Node, report: Report) -> Checked:
    """Tells every fault of a tree's keys and values, and mends the tree as it goes."""
    checker = _Checker(tree, report)
    for _ in range(ROUNDS):
        problems = checker.round()
        if not problems:
            return Checked(Recipe.model_validate(tree.plain(), by_alias=True, by_name=False), checker.doubtful)
        for problem in problems:
            checker.tell(problem)
        for problem in problems:
            checker.mend(problem)
    return Checked(None, checker.doubtful)


def _covers(paths: set[KeyPath], path: KeyPath) -> bool:
    return any(path[:end] in paths for end in range(len(path) + 1))


@dataclass
class _Checker:
    """The state between two rounds.

    Attributes:
        excused: paths of which nothing more is said, though what stands below them is checked.
        settled: paths of which nothing more is said, nor of anything below them.
        doubtful: paths whose value is not, or not surely, what the user meant.
    """

    tree: Node
    report: Report
    excused: set[KeyPath] = field(default_factory=set)
    settled: set[KeyPath] = field(default_factory=set)
    doubtful: set[KeyPath] = field(default_factory=set)

    def round(self) -> list[Problem]:
        """What is wrong now: only keys and tags where there are any, since the rest may follow from them."""
        spell_out(self.tree)
        found = recipe_problems(self.tree)
        for path, node in models(Recipe, self.tree):
            if not _covers(self.settled, path):
                found += [problem._replace(path=(*path, *problem.path)) for problem in model_problems(node)]
        return [problem for problem in found if problem.kind in ("key", "tag")] or found

    def tell(self, problem: Problem) -> None:
        """Reports a problem, unless it only follows from one that is reported already."""
        refused = any(node.refused for node in self.tree.line(problem.path))
        if not (refused or problem.path in self.excused or _covers(self.settled, problem.path)):
            at = problem.path[:-1] if problem.kind == "missing" else problem.path
            self.report.add_at(self.tree, at, problem.what, problem.remedy)

    def mend(self, problem: Problem) -> None:
        """Changes the tree so that the next round sees past the problem."""
        parent = self.tree.at(problem.path[:-1])
        if parent is None or not problem.path:
            return
        if problem.kind == "key":
            self._rename(parent, problem)
        elif problem.kind == "tag" and problem.meant:
            parent.keys[problem.path[-1]].value = problem.meant
        elif problem.kind == "tag":
            self._stand_in(problem.path[:-1])
        elif problem.kind == "value" and self._is_optional(parent, problem.path):
            parent.keys.pop(problem.path[-1], None)
            self.doubtful.add(problem.path)
        else:
            self._stand_in(problem.path)

    def _rename(self, parent: Node, problem: Problem) -> None:
        """Gives a key the name that was meant; leaves it out where none is like it."""
        key, meant = problem.path[-1], problem.meant
        node = parent.keys.pop(key, None)
        if not meant or node is None:
            return
        path = (*problem.path[:-1], meant)
        there = parent.keys.get(meant)
        if there is None:
            parent.value[meant] = node
        elif there.keys and node.keys:
            parent.value[meant] = merge(*sorted((there, node), key=lambda each: each.place), self._annotation(path))
        if there is None and difflib.SequenceMatcher(None, key, meant).ratio() < SURE:
            self.excused.add(path)
            self.doubtful.add(path)

    def _stand_in(self, path: KeyPath) -> None:
        """Puts a value that fits in the place of one that cannot be judged."""
        parent = self.tree.at(path[:-1])
        old = parent.child(path[-1])
        spelled = old.spelled if old else str(path[-1])
        parent.value[path[-1]] = plant(shape.stand_in(self._annotation(path)), parent.place, spelled)
        self.settled.add(path)
        self.doubtful.add(path)

    def _is_optional(self, parent: Node, path: KeyPath) -> bool:
        return path[-1] in shape.optional(self._annotation(path[:-1]), parent.plain())

    def _annotation(self, path: KeyPath) -> Any:
        return shape.below(Recipe, self.tree.plain(), path)


def plant(value: Any, place: Place, spelled: str = "") -> Node:
    """A tree of a plain value, all of it at one place."""
    if isinstance(value, dict):
        value = {key: plant(below, place, key) for key, below in value.items()}
    elif isinstance(value, list):
        value = [plant(below, place, str(i)) for i, below in enumerate(value)]
    return Node(value, place, spelled)
