"""Panel: every teacher of a recipe, each with a table of its own, and what they say together."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from distill.data.impressions import Impressions
from distill.ensemble import Heard, heard, recent
from distill.fingerprint import derived_seed, fingerprint
from distill.knowledge import Kind, Knowledge, KnowledgeStore, Manifest, import_table, table_fingerprint
from distill.lesson import Lesson, lesson_fingerprint
from distill.member import SOURCE
from distill.recipe import Recipe
from distill.recipe.sections import OutsideTeacher, Teacher
from distill.recipe.several import Combine
from distill.scoring import knowledge_of
from distill.standing import Standing
from distill.types import Prediction, Signal

PUREST: tuple[Kind, ...] = ("time_ahead", "snapshot", "cross_fit", "unknown", "in_sample")
"""Kinds of scoring; what several say together is no purer than the last of theirs."""


class Seat(NamedTuple):
    """One ranker that scores all rows.

    Attributes:
        name: of the source: the teacher's, with the number of the seed behind all but its first.
        teacher: its section of the recipe.
        seed: from which it derives its own.
    """

    name: str
    teacher: Teacher
    seed: int


def seats(recipe: Recipe) -> list[Seat]:
    """Every ranker that teaches, `teacher` first. The first seed of a teacher is that of the recipe, so that a table is
    found again whatever stands beside it."""
    found = []
    for name, teacher in recipe.every_teacher.items():
        found.append(Seat(name, teacher, recipe.seed))
        for number in range(1, getattr(teacher, "seeds", 1)):
            found.append(Seat(f"{name}/{number}", teacher, derived_seed(recipe.seed, "teacher", "seed", number)))
    return found


def lesson_of(
    recipe: Recipe, impressions: Impressions, tell: Callable[[int], None] = lambda _: None, seat: Seat | None = None
) -> Lesson:
    """What a teacher of a recipe is trained with.

    Args:
        recipe: theirs.
        impressions: the rows.
        tell: called with the rows of each step.
        seat: which one, trained here; the first where None.
    """
    seat = seat or seats(recipe)[0]
    assert not isinstance(seat.teacher, OutsideTeacher), "a teacher from outside has no lesson"
    view = impressions.view(seat.teacher.features, "all")
    return Lesson(seat.teacher, impressions, view, seat.seed, tell, recipe.trainer)


def said_by_all(
    recipe: Recipe,
    impressions: Impressions,
    store: KnowledgeStore,
    tell: Callable[[int], None] = lambda _: None,
    first: Knowledge | None = None,
) -> dict[str, Knowledge]:
    """What every teacher said: found, gone on with, or made; by name of the source.

    Args:
        recipe: theirs.
        impressions: the rows.
        store: where the tables are.
        tell: called with the rows of each step.
        first: that of `teacher`, where it is at hand.
    """
    tables = {} if first is None else {SOURCE: first}
    for seat in seats(recipe)[len(tables) :]:
        if isinstance(seat.teacher, OutsideTeacher):
            tables[seat.name] = import_table(seat.teacher.knowledge, impressions, store)
        else:
            tables[seat.name] = knowledge_of(lesson_of(recipe, impressions, tell, seat), store)
    return tables


def fingerprints(recipe: Recipe, impressions: Impressions) -> dict[str, str]:
    """Name of a source -> fingerprint of its table, before anything is trained; `teacher` is left out."""
    return {
        seat.name: table_fingerprint(seat.teacher.knowledge, impressions)
        if isinstance(seat.teacher, OutsideTeacher)
        else lesson_fingerprint(lesson_of(recipe, impressions, seat=seat))
        for seat in seats(recipe)
        if seat.name != SOURCE
    }


def taught_by(recipe: Recipe) -> str:
    """What decides what the teachers of a recipe say, short of the content of the data."""
    apart = [recipe.trainer.copies] if recipe.trainer.copies else []
    return fingerprint(recipe.data, recipe.teacher, recipe.seed, recipe.teachers, *apart)


def weights_of(names: Iterable[str], settings: Mapping[str, float]) -> dict[str, float]:
    """The weight of each source for one member: those of one teacher share its weight, which is 1 if nobody says.

    Args:
        names: of the sources.
        settings: of the member.

    Example:
        >>> weights_of(["teacher", "teacher/1", "other"], {"weight/teacher": 3.0})
        {'teacher': 1.5, 'teacher/1': 1.5, 'other': 1.0}
    """
    names = list(names)
    seeds = Counter(map(teacher_of, names))
    return {name: settings.get(f"weight/{teacher_of(name)}", 1.0) / seeds[teacher_of(name)] for name in names}


def teacher_of(source: str) -> str:
    """The name of the teacher whose seed a source is."""
    return source.partition("/")[0]


class Panel:
    """What several teachers say together, to be read like a table of one: by weights, and by how they stood, before any
    student's gate.

    Args:
        tables: what each says.
        combine: how it becomes one.
        impressions: the rows.
    """

    def __init__(self, tables: Mapping[str, Knowledge], combine: Combine, impressions: Impressions) -> None:
        self.tables = tables
        told = {f"weight/{name}": weight for name, weight in (combine.weights or {}).items()}
        self.weights = weights_of(tables, told)
        self.standing = standing_of(tables, combine, impressions)
        self.temperature = torch.tensor([combine.recent.temperature if combine.recent else torch.inf])
        manifests = [table.manifest for table in tables.values()]
        self.manifest: Manifest = manifests[0].model_copy(
            update={
                "teacher": together([one.teacher for one in manifests]),
                "kind": max((one.kind for one in manifests), key=PUREST.index),
                "cut_off": max((one.cut_off for one in manifests if one.cut_off is not None), default=None),
            }
        )

    def take(self, rows: Int[Tensor, " rows"], *, representation: bool = False) -> Signal:
        """The mean log-odds of `rows`, and which of them any teacher of some weight has scored; representations of
        several rankers have no common axes, so there are none."""
        said, covered, _ = self._heard(rows)
        return Signal(Prediction(said, said[..., :0]), covered)

    def spread(self, rows: Int[Tensor, " rows"]) -> Float[Tensor, "rows tasks"]:
        """How far apart the teachers are at `rows`."""
        return self._heard(rows).spread

    def _heard(self, rows: Int[Tensor, " rows"]) -> Heard:
        said = {name: table.take(rows[None], representation=False) for name, table in self.tables.items()}
        score = recent(self.standing.at(rows[None]), self.temperature) if self.standing else None
        return Heard(*(one.squeeze(0) for one in heard(said, self.weights, score)))


def panel_of(tables: Mapping[str, Knowledge], recipe: Recipe, impressions: Impressions) -> Knowledge | Panel:
    """What all teachers of a recipe say; the table itself where there is one.

    Args:
        tables: of the teachers, by name of the source.
        recipe: theirs.
        impressions: the rows.
    """
    if len(tables) == 1:
        return tables[SOURCE]
    return Panel(tables, recipe.students.distill.logit.combine, impressions)


def standing_of(tables: Mapping[str, Knowledge], combine: Combine, impressions: Impressions) -> Standing | None:
    """How each source stood shortly before every row, if anybody asks for it."""
    asked = combine.recent
    return Standing(tables, impressions, asked.rows, asked.by) if asked else None


def together(teachers: list[str]) -> str:
    """Who they are, in one line.

    >>> together(["teachers.DCNv2", "teachers.DCNv2", "teachers.InterFormer"])
    '2 x teachers.DCNv2, teachers.InterFormer'
    """
    return ", ".join(name if count == 1 else f"{count} x {name}" for name, count in Counter(teachers).items())
