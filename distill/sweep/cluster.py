"""Cluster: cohorts trained as tasks of Ray, on this machine or on any that shares the store's folder."""

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

from distill.cohort import Cohort
from distill.course import Course
from distill.errors import Fault, RecipeError
from distill.training import Courses, train_whole
from distill.workers import ATTEMPTS, Job, Jobs, course_for, longest_last, rows_seen


def train_on_ray(jobs: Jobs, cohorts: Sequence[Cohort], courses: Courses) -> None:
    """Trains cohorts on Ray, one a processor; the cohort of a worker or machine that dies is trained elsewhere.

    Connects to the cluster that `RAY_ADDRESS` names, or starts Ray on this machine. Each task writes one cohort into
    the store, whole or not at all, so that trying again is finding it done or going on from its checkpoint.

    Raises:
        RecipeError: Ray is not installed.
        DistillError: what a task found wrong with the data or the store.
    """
    if not cohorts:
        return
    ray = _ray()
    remote = ray.remote(max_retries=ATTEMPTS, num_cpus=1)(_train)
    waiting = {remote.remote(_placed(jobs[one.stack]), _absolute(one)): one for one in reversed(longest_last(cohorts))}
    while waiting:
        (done, *_), _ = ray.wait(list(waiting), num_returns=1)
        ray.get(done)
        cohort = waiting.pop(done)
        courses[cohort.stack].tell(rows_seen(cohort, courses[cohort.stack].students))


def _ray() -> Any:
    """Ray, started or connected to."""
    try:
        import ray
    except ImportError:
        raise RecipeError(Fault("--engine ray", "Ray is not installed.", 'Install distill with "[ray]".')) from None
    if not ray.is_initialized():
        # A task holds one thread; what is imported here is imported there.
        variables = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        ray.init(include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": variables})
    return ray


def _train(job: Job, cohort: Cohort) -> None:
    """A task."""
    import torch

    torch.set_num_threads(1)
    if not cohort.trained:
        train_whole(cohort, _course(job.knowledge, job.recipe.model_dump_json(by_alias=True), job))


def _course(knowledge: str, recipe: str, job: Job) -> Course:
    """What a job's members are trained with; a worker of Ray keeps it for its next task."""
    key = (knowledge, recipe)
    if key not in _courses():
        _courses()[key] = course_for(job, lambda rows: None)
    return _courses()[key]


@cache
def _courses() -> dict[tuple[str, str], Course]:
    return {}


def _placed(job: Job) -> Job:
    """The same job for a process in another folder."""
    recipe = job.recipe
    data = recipe.data.model_copy(update={"path": recipe.data.path.absolute()} if recipe.data.path else {})
    return job._replace(recipe=recipe.model_copy(update={"store": recipe.store.absolute(), "data": data}))


def _absolute(cohort: Cohort) -> Cohort:
    return Cohort(cohort.folder.parent.absolute(), cohort.members)
