"""The pipeline: a recipe's stages from top to bottom, each found where it is already done."""

from collections.abc import Iterable, Sequence
from functools import partial

import torch

from distill.auditing import audit, audited, sentences
from distill.data.impressions import TRAIN, Impressions, load
from distill.errors import Fault, RecipeError
from distill.files import read_json, write_json
from distill.fingerprint import fingerprint
from distill.judging import judged
from distill.knowledge import Knowledge
from distill.latest import Table, compare, identity, place
from distill.learner import accelerator, keep_programs
from distill.lowering import fp8_sentences
from distill.member import SOURCE
from distill.panel import Seat, lesson_of, panel_of, said_by_all, seats
from distill.planning import plan
from distill.premises import require
from distill.progress import Progress
from distill.ranks import train_together
from distill.recipe import Recipe
from distill.recipe.sections import CrossFit, OutsideTeacher
from distill.recording import record_key, records, sources_of, started
from distill.report.cost import cost
from distill.spent import account, accounted, age
from distill.store import Store
from distill.tracking import RunRecord, Tracker, Untracked, environment, open_tracker
from distill.training import Student, train_students, wanting
from distill.transfer import course_of, domains_table, members_of
from distill.workers import Job, train_here

__all__ = ["compare", "experiment", "plan", "run"]


def run(recipe: Recipe, progress: Progress) -> Table:
    """Teacher, knowledge, domains, students, leaderboard, MLflow: everything that is not there yet.

    Args:
        recipe: what to run.
        progress: told of every stage.

    Returns:
        The leaderboard.

    Raises:
        DistillError: the data, the knowledge, the store or the machine are not what the recipe says.
    """
    begun = age()
    torch.set_num_threads(1)  # A second thread waits for the first more often than it helps.
    accelerator(recipe.trainer.device)
    store = Store(recipe.store)
    keep_programs(store.programs)
    with store.alone(lambda: progress.note(f"Another run is using {store.root}; waiting for it.")):
        impressions = read(recipe, store, progress)
        require([recipe], impressions)
        with open_tracker(recipe.tracking.uri, experiment(recipe), recipe.store) as tracker:
            key = fingerprint(identity(recipe), impressions.fingerprint)
            if key not in tracker.run_ids():
                # Now, so that the writer makes the database while the teacher learns.
                tracker.record(started(recipe, key, impressions.fingerprint))
            knowledge = teach(recipe, impressions, store, progress)
            domain = domains(recipe, impressions, knowledge, store, progress)
            students = _study(recipe, impressions, knowledge, store, progress)
            table = _judge(recipe, impressions, knowledge, students, key, store, progress)
            path = place(recipe, store)
            before = read_json(path) if path.exists() else {}
            tables = said_by_all(recipe, impressions, store.knowledge, first=knowledge)
            table |= _taken(table, progress, before, list(tables.values()))
            same = before.get("fingerprint") == table["fingerprint"] and "time" in before
            spent = [one.time for one in tables.values()]
            table["time"] = before["time"] if same else account(table["seconds"], spent, begun)
            progress.note(accounted(table["time"]))
            table |= {"settings": identity(recipe), "environment": environment()}
            sources = sources_of(recipe, tables, domain, impressions.fingerprint)
            told = records(recipe, table, students, impressions.fingerprint, sources)
            table = _publish(table, students, told, tracker, progress)
        table["seconds"] = progress.seconds | table["seconds"]
        write_json(path, table)
    return table


def _taken(table: Table, progress: Progress, before: Table, tables: Sequence[Knowledge]) -> Table:
    """Seconds and cost. A stage that was found done took what it took when it was done."""
    same = before.get("fingerprint") == table["fingerprint"]
    took = dict(progress.seconds) | (before["seconds"] if same else {})
    cpu = dict(progress.cpu) | (before.get("cpu_seconds", {}) if same else {})
    scored = sum(one.facts.get("covered", 0) for one in tables)
    size = sum(path.stat().st_size for one in tables for path in one.folder.rglob("*") if path.is_file())
    return {"seconds": took, "cpu_seconds": cpu, "cost": cost(table["summary"], took, scored, size, cpu)}


def read(recipe: Recipe, store: Store, progress: Progress) -> Impressions:
    """The stage `data`."""
    with progress.stage("data") as bar:
        impressions = load(recipe.data, store.data)
        bar.advance(impressions.rows, f"{len(impressions.verticals)} verticals")
    for warning in impressions.warnings:
        progress.note(f"warning: {warning}")
    return impressions


def teach(recipe: Recipe, impressions: Impressions, store: Store, progress: Progress) -> Knowledge:
    """The stage `teacher`: what it says of every row, and what others say, where there are any; the first's table."""
    rows = [_rows_learnt(recipe, impressions, seat) for seat in seats(recipe)]
    with progress.stage("teacher", sum(rows) or None) as bar:
        train_together(recipe, impressions, store, bar.advance)
        tables = said_by_all(recipe, impressions, store.knowledge, bar.advance)
    for name, table in tables.items():
        whose = "the teacher's" if len(tables) == 1 else f"{name}'s"
        for sentence in (*audited(table, impressions, whose), *fp8_sentences(table.folder)):
            progress.note(sentence)
    if len(tables) > 1:
        panel = panel_of(tables, recipe, impressions)
        for sentence in sentences(audit(panel, impressions), panel.manifest.kind, "the teachers' common"):
            progress.note(sentence)
    return tables[SOURCE]


def _rows_learnt(recipe: Recipe, impressions: Impressions, seat: Seat) -> int:
    """Rows of all steps of a teacher; none of one that lives elsewhere."""
    teacher = seat.teacher
    if isinstance(teacher, OutsideTeacher):
        return 0
    copies = teacher.score.folds - 1 if isinstance(teacher.score, CrossFit) else 1
    return copies * teacher.train.epochs * len(lesson_of(recipe, impressions, seat=seat).learnt_rows)


def domains(
    recipe: Recipe, impressions: Impressions, knowledge: Knowledge, store: Store, progress: Progress
) -> Knowledge | None:
    """The stage `domains`, where the recipe has any."""
    if recipe.domains is None:
        return None
    with progress.stage("domains", len(impressions.select(TRAIN))) as bar:
        domain = domains_table(recipe, impressions, knowledge, store, bar.advance)
    for sentence in audited(domain, impressions, "the domain models'"):
        progress.note(sentence)
    return domain


def _study(
    recipe: Recipe, impressions: Impressions, knowledge: Knowledge, store: Store, progress: Progress
) -> list[Student]:
    members = members_of(recipe, impressions, knowledge.manifest.fingerprint, store.knowledge)
    if not members:
        raise RecipeError(Fault("students.min_rows", f"no vertical has {recipe.students.min_rows} training rows."))
    new = [member for cohort in wanting(members, store.cohorts, recipe.trainer.device) for member in cohort.members]
    with progress.stage("students", sum(member.rows for member in new) * recipe.students.train.epochs) as bar:
        course = course_of(recipe, impressions, knowledge, store, bar.advance)
        train = partial(train_here, {members[0].stack: Job(recipe, knowledge.manifest.fingerprint)})
        return train_students(members, course, store.cohorts, store.stopping, train)


def _judge(
    recipe: Recipe,
    impressions: Impressions,
    knowledge: Knowledge,
    students: Sequence[Student],
    key: str,
    store: Store,
    progress: Progress,
) -> Table:
    with progress.stage("evidence"):
        return judged(recipe, key, impressions, knowledge, students, store)


def _publish(
    table: Table,
    students: Sequence[Student],
    told: Iterable[RunRecord],
    tracker: Tracker | Untracked,
    progress: Progress,
) -> Table:
    """Records what MLflow does not have yet, and writes each student's run id into the table."""
    with progress.stage("tracking"):
        for record in told:
            tracker.record(record)
        delivery = tracker.close()
        ids = tracker.run_ids()
    if delivery.waiting:
        progress.note(
            f"warning: {delivery.waiting} runs wait to be recorded ({delivery.error}); the next run sends them."
        )
    keys = {student.member.name: record_key(table["fingerprint"], student.member) for student in students}
    rows = [row | {"run_id": ids.get(keys[row["member"]])} for row in table["students"]]
    return table | {"students": rows}


def experiment(recipe: Recipe) -> str:
    """Name of the MLflow experiment that a recipe's runs belong to."""
    return recipe.tracking.experiment or recipe.name
