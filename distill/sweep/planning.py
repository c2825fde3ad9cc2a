"""Planning a sweep: what it would do, without doing it, and about how long that takes here."""

from statistics import median
from typing import Any

from distill.cohort import Cohort
from distill.course import Course
from distill.data.impressions import Impressions, load
from distill.fingerprint import fingerprint
from distill.member import Member
from distill.panel import taught_by
from distill.planning import cohort_facts, data_stage, teacher_stages, weight_bytes
from distill.probing import paces, probe
from distill.recipe import Recipe
from distill.store import Store
from distill.sweep.points import Point, Sweep
from distill.training import wanting
from distill.transfer import members_of
from distill.workers import Job, rows_seen, workers_for


def plan(sweep: Sweep) -> dict[str, Any]:
    """Points, stages that they share, cohorts, what is cached, bytes, memory and seconds. Trains nothing for good.

    Returns:
        What `plan` says of a recipe, and `points`. `seconds` are those of the students, from the cohorts that the
        store has of the same shape, else from a few steps that are timed and forgotten.
    """
    store = Store(sweep.base.store)
    survey = _Survey(store)
    planned = _budgets(sweep)
    points = [survey.point(point) for point in planned]
    every = [member for members in points for member in members]
    everyone = {member.fingerprint for member in every}
    new = wanting(every, store.cohorts, sweep.base.trainer.device)
    cohorts = [
        cohort_facts(cohort.members, survey.weights(cohort)) | {"seconds": survey.seconds(cohort)} for cohort in new
    ]
    missing = sum(len(cohort.members) for cohort in new)
    workers = workers_for(survey.jobs, new) if new else 1
    students = {
        "stage": "students",
        "cached": missing == 0,
        "class": ", ".join(sorted({course.students.model.path for course in survey.courses.values()})),
        "members": len(everyone),
        "missing": missing,
    }
    stages = [*survey.data.values(), *survey.teachers.values(), students]
    return {
        "points": [
            {"point": point.name, "members": len(members)} for point, members in zip(planned, points, strict=True)
        ],
        "stages": stages,
        "cohorts": cohorts,
        "members": len(everyone),
        "shared": sum(map(len, points)) - len(everyone),
        "cached": len(everyone) - missing,
        "bytes": sum(stage.get("bytes", 0) for stage in stages) + sum(cohort["bytes"] for cohort in cohorts),
        "memory": workers * max((cohort["memory"] for cohort in cohorts), default=0),
        "workers": workers,
        "seconds": sum(cohort["seconds"] for cohort in cohorts) / workers,
    }


def _budgets(sweep: Sweep) -> list[Point]:
    """The points with each of their budgets, as if the first of them were to go on: how many do is known. For those of
    a search, whose number is known, stand others by chance.
    """
    if sweep.search is not None:
        search, later = sweep.search, range(sweep.search.trials, 2 * sweep.search.trials)
        draws = [{key: one.draw(key, number) for key, one in search.space.items()} for number in later]
        return sweep.points + [search.point(f"search {place}", values) for place, values in enumerate(draws)]
    if sweep.halving is None:
        return sweep.points
    found, points = [], sweep.points
    for passes in sweep.halving.passes:
        found += [point.at(passes) for point in points]
        points = points[: sweep.halving.left(len(points))]
    return found


class _Survey:
    """What the points of a sweep have in common, each looked at once.

    Attributes:
        data: the stages that read impressions, by their settings.
        teachers: those of teachers, by the fingerprint of what they say.
        courses: stack -> what its members would be trained with, but for the teacher.
        jobs: the same for other processes.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.data: dict[str, dict[str, Any]] = {}
        self.teachers: dict[str, dict[str, Any]] = {}
        self.courses: dict[str, Course] = {}
        self.jobs: dict[str, Job] = {}
        self._impressions: dict[str, Impressions] = {}
        self._knowledge: dict[str, str] = {}
        self._rates: dict[str, float] = {}

    def point(self, point: Point) -> list[Member]:
        """The members of a point."""
        found = []
        for number, recipe in enumerate(point.recipes):
            members = self._members(recipe)
            found += [member for member in members if point.number_of(member.vertical) == number]
        return found

    def weights(self, cohort: Cohort) -> dict[str, int]:
        """Bytes of the weights of one student of each vertical."""
        course, recipe = self.courses[cohort.stack], self.jobs[cohort.stack].recipe
        verticals = {member.vertical for member in cohort.members}
        return {vertical: weight_bytes(recipe, course.view.schema(vertical)) for vertical in verticals}

    def seconds(self, cohort: Cohort) -> float:
        """How long one process would train a cohort."""
        students = self.courses[cohort.stack].students
        shape = fingerprint(students.model.shape)
        if shape not in self._rates:
            known = [one for one in paces(self.store.cohorts) if one.shape == shape and one.rows and one.seconds]
            known = known or [probe(cohort.members, self.courses[cohort.stack])]
            self._rates[shape] = median(one.seconds / one.rows for one in known)
        return rows_seen(cohort, students) * self._rates[shape]

    def _members(self, recipe: Recipe) -> list[Member]:
        impressions, knowledge = self._above(recipe)
        view = impressions.view(recipe.students.features, "vertical")
        members = members_of(recipe, impressions, knowledge, self.store.knowledge)
        for stack in {member.stack for member in members} - self.courses.keys():
            self.courses[stack] = Course(recipe.students, impressions, view, None, lambda _: None, recipe.trainer)
            self.jobs[stack] = Job(recipe, knowledge)
        return members

    def _above(self, recipe: Recipe) -> tuple[Impressions, str]:
        """The rows, and the fingerprint of what the teacher says of them."""
        data, teacher = fingerprint(recipe.data), taught_by(recipe)
        if data not in self._impressions:
            self._impressions[data] = load(recipe.data, self.store.data)
            self.data[data] = data_stage(self._impressions[data])
        impressions = self._impressions[data]
        if teacher not in self._knowledge:
            stages = teacher_stages(recipe, impressions, self.store.knowledge)
            self._knowledge[teacher] = next(iter(stages))
            self.teachers |= stages
        return impressions, self._knowledge[teacher]
