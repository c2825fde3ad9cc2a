"""Pool: the students of all points together, with what each of them is trained with."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from distill.cohort import Cohort
from distill.course import Course
from distill.data.impressions import Impressions
from distill.errors import Fault, RecipeError
from distill.fingerprint import fingerprint
from distill.knowledge import Knowledge
from distill.latest import identity
from distill.member import Member
from distill.panel import taught_by
from distill.pipeline import read, teach
from distill.premises import require
from distill.progress import Progress
from distill.recipe import Recipe
from distill.store import Store
from distill.sweep.points import Point, check_patterns
from distill.training import Courses, Student, fallen_back, pooled_students, wanting
from distill.transfer import course_of, members_of
from distill.workers import Job, Jobs, rows_seen

Engine = Callable[[Jobs, list[Cohort], Courses], None]
"""Trains cohorts into the store."""


class Taught(NamedTuple):
    """A point whose teacher has spoken.

    Attributes:
        point: which one.
        impressions: the rows.
        knowledge: what the teacher said of them.
    """

    point: Point
    impressions: Impressions
    knowledge: Knowledge

    @property
    def key(self) -> str:
        """Of its leaderboard; that of its recipe, where no vertical has settings of its own."""
        said = [(pattern, identity(recipe)) for pattern, recipe in self.point.verticals]
        return fingerprint(identity(self.point.recipe), self.impressions.fingerprint, *([said] if said else []))


def taught(points: Sequence[Point], store: Store, progress: Progress, known: Sequence[Taught] = ()) -> list[Taught]:
    """Every point with its data and its teacher; what several have in common is read, and learned, once.

    Args:
        points: which ones.
        store: where everything is found.
        progress: told of every stage.
        known: others, whose data and teachers they may have too.

    Raises:
        RecipeError: settings by vertical are meant for one that is not there, or a recipe needs of the data what they
            do not have. No teacher has been trained for it.
    """
    rows: dict[str, Impressions] = {_keys(one.point.recipe)[0]: one.impressions for one in known}
    said: dict[str, Knowledge] = {_keys(one.point.recipe)[1]: one.knowledge for one in known}
    for point in points:
        data, _ = _keys(point.recipe)
        if data not in rows:
            rows[data] = read(point.recipe, store, progress)
    check_patterns(points, (name for impressions in rows.values() for name in impressions.verticals))
    for data, impressions in rows.items():
        own = [point for point in points if _keys(point.recipe)[0] == data]
        require([recipe for point in own for recipe in point.recipes], impressions)
    found = []
    for point in points:
        recipe = point.recipe
        data, teacher = _keys(recipe)
        if teacher not in said:
            said[teacher] = teach(recipe, rows[data], store, progress)
        found.append(Taught(point, rows[data], said[teacher]))
    return found


def _keys(recipe: Recipe) -> tuple[str, str]:
    """Of its data, and of its teachers."""
    return fingerprint(recipe.data), taught_by(recipe)


class Pool:
    """The members of all points; those that several points have in common are trained once.

    Args:
        points: those of the sweep.
        store: where everything is found.
        tell: called with the rows of each step.
        tell_domains: called with those of domain models that are not there yet.

    Attributes:
        members: of each point, in the order of its verticals.
        courses: stack -> what its members are trained with.
        jobs: stack -> what another process needs to do so.
    """

    def __init__(
        self,
        points: list[Taught],
        store: Store,
        tell: Callable[[int], None],
        tell_domains: Callable[[int], None] = lambda rows: None,
    ) -> None:
        self.store, self.tell, self.tell_domains = store, tell, tell_domains
        self.members: list[list[Member]] = []
        self.courses: dict[str, Course] = {}
        self.jobs: dict[str, Job] = {}
        for one in points:
            self.members.append(list(self._enrolled(one)))
        if not self.jobs:
            recipe = points[0].point.recipe
            raise RecipeError(Fault("students.min_rows", f"no vertical has {recipe.students.min_rows} training rows."))

    @property
    def everyone(self) -> list[Member]:
        """The members of all points, one after another."""
        return [member for members in self.members for member in members]

    def train(self, engine: Engine) -> list[list[Student]]:
        """The students of each point, found or trained."""
        train = lambda cohorts, courses: engine(self.jobs, cohorts, courses)  # noqa: E731
        students = iter(pooled_students(self.everyone, self.courses, self.store.cohorts, self.store.stopping, train))
        return [self._settled([next(students) for _ in members]) for members in self.members]

    def wanting(self) -> list[Cohort]:
        """The cohorts that have to be trained."""
        device = next(iter(self.courses.values())).trainer.device
        return wanting(self.everyone, self.store.cohorts, device)

    def rows(self, cohorts: list[Cohort]) -> int:
        """Rows that the training of cohorts goes through."""
        return sum(rows_seen(cohort, self.courses[cohort.stack].students) for cohort in cohorts)

    def _settled(self, students: list[Student]) -> list[Student]:
        """Those of one point, whom their teacher harms with what their control has, if the recipe says so."""
        stacks = list(dict.fromkeys(student.member.stack for student in students))
        own = {stack: [one for one in students if one.member.stack == stack] for stack in stacks}
        found = {
            one.member.fingerprint: one for stack in stacks for one in fallen_back(own[stack], self.courses[stack])
        }
        return [found[student.member.fingerprint] for student in students]

    def _enrolled(self, taught: Taught) -> Iterator[Member]:
        """Each vertical's members, with the settings that hold for it."""
        members: dict[tuple[str, int], list[Member]] = {}
        for number, recipe in enumerate(taught.point.recipes):
            for member in self._roster(recipe, taught):
                members.setdefault((member.vertical, number), []).append(member)
        for vertical in taught.impressions.verticals:
            yield from members.get((vertical, taught.point.number_of(vertical)), [])

    def _roster(self, recipe: Recipe, taught: Taught) -> list[Member]:
        impressions, knowledge = taught.impressions, taught.knowledge
        members = members_of(recipe, impressions, knowledge.manifest.fingerprint, self.store.knowledge)
        if members and members[0].stack not in self.courses:
            tell = self.tell, self.tell_domains
            self.courses[members[0].stack] = course_of(recipe, impressions, knowledge, self.store, *tell)
            self.jobs[members[0].stack] = Job(recipe, knowledge.manifest.fingerprint)
        return members
