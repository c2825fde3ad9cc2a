"""Running a sweep: teachers that points share, students as one pool, a leaderboard a point, one table for all."""

from collections.abc import Callable, Iterable
from functools import partial

import torch

from distill.domains import domains_of
from distill.errors import Fault, RecipeError
from distill.files import write_json
from distill.fingerprint import fingerprint
from distill.judging import judged
from distill.learner import accelerator, keep_programs
from distill.panel import said_by_all, taught_by
from distill.pipeline import experiment
from distill.probing import pace_of, paces
from distill.progress import Progress
from distill.ranks import enlisted
from distill.recording import sources_of
from distill.report.scores import number
from distill.store import Store
from distill.sweep import footprint, recording
from distill.sweep.choosing import choices, chosen, overall, pooled
from distill.sweep.latest import place
from distill.sweep.points import Sweep
from distill.sweep.pool import Engine, Pool, Taught, taught
from distill.sweep.searching import require, searched
from distill.sweep.table import Outcome, Table, table
from distill.tracking import RunRecord, Tracker, Untracked, open_tracker
from distill.training import Student, forget_failed
from distill.workers import longest_last, train_here

OF_TEACHER = ("ne_teacher", "gap_closed", "gap_closed_low", "gap_closed_high", "gap_closed_macro", "gap_closed_median")
"""What a leaderboard says of the teacher, which means nothing where its students have different ones."""

COMPARED = ("ne_control", "ne_student", "ne_gain", "ne_gain_low", "ne_gain_high", "helped", "hurt")
"""What is said of a search, and of chance, on test rows."""


def run(sweep: Sweep, progress: Progress, engine: Engine = train_here, *, retry: bool = False) -> Table:
    """Everything of a sweep that is not there yet.

    Args:
        sweep: what to run.
        progress: told of every stage.
        engine: trains the cohorts that are wanting.
        retry: whether members that failed are trained again.

    Returns:
        Its table.

    Raises:
        DistillError: the data, the knowledge, the store or the machine are not what a recipe says.
    """
    torch.set_num_threads(1)  # A second thread waits for the first more often than it helps.
    base = sweep.base
    accelerator(base.trainer.device)
    if enlisted(base):
        what = "processes that torchrun or Slurm has started train the teacher of one recipe, not of a sweep."
        raise RecipeError(Fault("trainer.strategy", what, "Run the base of the sweep first: distill run."))
    if sweep.search:
        require()
    store = Store(base.store)
    keep_programs(store.programs)
    with store.alone(lambda: progress.note(f"Another run is using {store.root}; waiting for it.")):
        with open_tracker(base.tracking.uri, experiment(base), base.store) as tracker:
            points = taught(sweep.points, store, progress)
            key = key_of(sweep, points)
            if key not in tracker.run_ids():
                tracker.record(recording.begun(sweep, key, points[0].impressions.fingerprint))
            study = partial(_study, store=store, progress=progress, engine=engine, retry=retry)
            points, rungs = _last_rung(sweep, points, study)
            teach = partial(taught, store=store, progress=progress, known=points)
            asked, trials = searched(sweep.search, points, store, teach, study) if sweep.search else ([], [])
            points += asked
            students = study(points)
            found = _judge(sweep, key, points, students, store, progress) | {"rungs": rungs, "trials": trials}
            found["data"] = points[0].impressions.fingerprint
            done = sweep._replace(points=[one.point for one in points])
            told = recording.records(done, found, students, [_sources(one, store) for one in points])
            found = _publish(found, told, tracker, progress)
        known = _paces(points, store)
        trained = {
            one.point.name: footprint.seconds(one, own, known[one.point.name])
            for one, own in zip(points, students, strict=True)
        }
        found["seconds"] = progress.seconds | {"rows_per_second": known, "train": trained}
        sizes = map(footprint.parameters, points)
        found["points"] = [point | {"parameters": size} for point, size in zip(found["points"], sizes, strict=True)]
        write_json(place(sweep, store), found)
    return found


def train_share(sweep: Sweep, progress: Progress, number: int, of: int) -> None:
    """Trains one in `of` of the cohorts that are wanting, while others train theirs; no table, and nothing in MLflow.

    Args:
        sweep: the same for all.
        progress: told of every stage.
        number: whose share, from 0.
        of: how many there are.
    """
    torch.set_num_threads(1)
    store = Store(sweep.base.store)
    with store.alone(lambda: progress.note(f"Another run is using {store.root}; waiting for it.")):
        points = taught(sweep.points, store, progress)
    pool = _pool(points, store, progress, lambda rows: bar.advance(rows))
    mine = lambda cohort: int(cohort.folder.name, 16) % of == number  # noqa: E731  whatever others have done by now
    cohorts = longest_last([cohort for cohort in pool.wanting() if mine(cohort)])[::-1]
    with progress.stage("students", pool.rows(cohorts)) as bar:
        train_here(pool.jobs, cohorts, pool.courses)


def key_of(sweep: Sweep, points: list[Taught]) -> str:
    """Under which key a sweep is recorded: that of its name and of where it starts, so that it may grow."""
    return fingerprint("sweep", sweep.name, sweep.base.name, points[0].impressions.fingerprint)


def _last_rung(
    sweep: Sweep, points: list[Taught], study: Callable[[list[Taught]], list[list[Student]]]
) -> tuple[list[Taught], list[Table]]:
    """The points that come to the last budget, with it, and how they came there. All of them, where none is set."""
    if sweep.halving is None:
        return points, []
    rungs = []
    for passes in sweep.halving.passes[:-1]:
        values = [pooled(own, "distilled") for own in study(_at(points, passes))]
        best = sorted(range(len(points)), key=values.__getitem__)[: sweep.halving.left(len(points))]
        rungs += [
            {"passes": passes, "point": one.point.name, "ne_valid": number(value), "kept": place in best}
            for place, (one, value) in enumerate(zip(points, values, strict=True))
        ]
        points = [points[place] for place in sorted(best)]
    return _at(points, sweep.halving.passes[-1]), rungs


def _at(points: list[Taught], passes: int) -> list[Taught]:
    return [one._replace(point=one.point.at(passes)) for one in points]


def _pool(points: list[Taught], store: Store, progress: Progress, tell: Callable[[int], None]) -> Pool:
    """Who is wanted. Domain models are trained on the way, since students may begin as copies of them."""
    if all(recipe.transfer == "direct" for one in points for recipe in one.point.recipes):
        return Pool(points, store, tell)
    with progress.stage("domains") as bar:
        return Pool(points, store, tell, bar.advance)


def _study(points: list[Taught], store: Store, progress: Progress, engine: Engine, retry: bool) -> list[list[Student]]:
    pool = _pool(points, store, progress, lambda rows: bar.advance(rows))
    if retry:
        progress.note(f"{forget_failed(pool.everyone, store.cohorts)} students that failed are trained again")
    cohorts = pool.wanting()
    progress.note(f"{len(points)} points, {len({one.fingerprint for one in pool.everyone})} students of both arms")
    with progress.stage("students", pool.rows(cohorts)) as bar:
        return pool.train(engine)


def _judge(
    sweep: Sweep,
    key: str,
    points: list[Taught],
    students: list[list[Student]],
    store: Store,
    progress: Progress,
) -> Table:
    with progress.stage("evidence"):
        outcomes = [
            Outcome(one.point, own, judged(one.point.recipe, one.key, one.impressions, one.knowledge, own, store))
            for one, own in zip(points, students, strict=True)
        ]
        best = choices(students)
        picked = _chosen(sweep, key, points, chosen(students, best), store)
        compared = _compared(sweep, key, points, students, store) if sweep.search else []
        return table(sweep.name, key, outcomes, best, picked) | {"search": compared}


def _compared(sweep: Sweep, key: str, points: list[Taught], students: list[list[Student]], store: Store) -> list[Table]:
    """The best of the points that were searched for and the best of as many by chance, each against the best of its
    own controls.
    """
    by_chance, lines = len(sweep.points), []
    for by, part in (("search", slice(by_chance, None)), ("random", slice(by_chance))):
        best = choices(students[part]) if sweep.search.per_vertical else overall(students[part])
        own = chosen(students[part], best)
        summary = _chosen(sweep, fingerprint(key, by), points[part], own, store)["summary"]
        line = {"by": by, "points": len(points[part]), "ne_valid": number(pooled(own, "distilled"))}
        lines.append(line | {name: summary[name] for name in COMPARED})
    return lines


def _chosen(sweep: Sweep, key: str, points: list[Taught], students: list[Student], store: Store) -> Table:
    """The leaderboard of the best students against the best controls."""
    first = points[0]
    key = fingerprint(key, [student.member.fingerprint for student in students])
    found = judged(sweep.base, key, first.impressions, first.knowledge, students, store)
    if len({_spoken(one) for one in points}) > 1:
        for row in (found["summary"], *found["students"]):
            row.update({name: None for name in OF_TEACHER if name in row})
    return found


def _spoken(taught: Taught) -> str:
    """What the teachers of a point say together."""
    recipe = taught.point.recipe
    return fingerprint(taught.knowledge.manifest.fingerprint, taught_by(recipe), recipe.students.distill.logit.combine)


def _paces(points: list[Taught], store: Store) -> dict[str, float | None]:
    """Point -> rows a second at which students of its shape were trained in this store; None where nobody knows."""
    measured = paces(store.cohorts)
    return {one.point.name: pace_of(fingerprint(one.point.recipe.students.model.shape), measured) for one in points}


def _sources(one: Taught, store: Store) -> list[RunRecord]:
    """Who taught the students of a point."""
    recipe, rows = one.point.recipe, one.impressions
    domain = domains_of(recipe, rows, one.knowledge, store.knowledge) if recipe.domains else None
    tables = said_by_all(recipe, rows, store.knowledge, first=one.knowledge)
    return sources_of(recipe, tables, domain, rows.fingerprint)


def _publish(
    found: Table,
    told: Iterable[tuple[RunRecord, list[tuple[str, str]]]],
    tracker: Tracker | Untracked,
    progress: Progress,
) -> Table:
    with progress.stage("tracking"):
        keys = {}
        for record, places in told:
            tracker.record(record)
            keys |= dict.fromkeys(places, record.key)
        delivery = tracker.close()
        ids = tracker.run_ids()
    if delivery.waiting:
        progress.note(
            f"warning: {delivery.waiting} runs wait to be recorded ({delivery.error}); the next run sends them."
        )
    rows = [row | {"run_id": ids.get(keys[row["point"], row["member"]])} for row in found["students"]]
    return found | {"students": rows}
