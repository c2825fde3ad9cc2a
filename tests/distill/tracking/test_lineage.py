"""Who learned from whom, and what a run wrote, as MLflow has it."""

import json
from dataclasses import replace

import pytest

from distill.errors import RecipeError
from distill.tracking import RunRecord, Tracker
from distill.tracking.recorded import leaderboard

TABLE = {"recipe": "quickstart", "students": [{"member": "cars/distilled/0", "ne": 0.123456789012345}]}
TEACHER = RunRecord("t", None, "teacher/teachers.GEM", {"distill.role": "teacher"}, model="teacher/GEM 1.0")
DOMAIN = RunRecord("d", None, "domain", {"distill.role": "domain"}, model="domain-DNN", taught_by=("t",))
PARENT = RunRecord("p", None, "quickstart", artifacts={"leaderboard.json": json.dumps(TABLE)})
STUDENT = RunRecord("s", "p", "cars/distilled/0", taught_by=("d", "t"))
CONTROL = RunRecord("c", "p", "cars/control/0")


@pytest.fixture
def runs(store):
    """Everything twice: a student that is recorded again, with another number, is the student that it was."""
    for metrics in ({}, {"ne": 0.5}):
        with Tracker(store.uri, store.experiment, store.folder) as tracker:
            for record in (PARENT, TEACHER, DOMAIN, CONTROL):
                tracker.record(record)
            tracker.record(replace(STUDENT, metrics=metrics))
    return store.runs()


def test_runs_name_the_models_that_they_learned_from(store, runs):
    models = {one.name: one for one in store.client.search_logged_models([store.found.experiment_id])}
    assert sorted(models) == ["domain-DNN", "teacher-GEM-1-0"]
    made = {one.source_run_id: one.model_id for one in models.values()}
    domain, teacher = (made[runs[name].info.run_id] for name in ("domain", "teacher/teachers.GEM"))
    whole = {name: store.client.get_run(run.info.run_id) for name, run in runs.items()}  # a search leaves some out
    taught = {name: [one.model_id for one in run.inputs.model_inputs] for name, run in whole.items()}
    assert sorted(taught.pop("cars/distilled/0")) == sorted([domain, teacher])
    assert taught.pop("domain") == [teacher]
    assert not any(taught.values()), "nobody taught a control, a parent or the teacher"
    assert [one.model_id for one in whole["domain"].outputs.model_outputs] == [domain]
    assert {one.status.value for one in models.values()} == {"READY"}


def test_a_leaderboard_is_found_by_the_id_of_its_run_or_of_a_student(store, runs):
    for name in ("quickstart", "cars/distilled/0", "cars/control/0"):
        assert leaderboard(runs[name].info.run_id, store.uri) == TABLE
    for other in ("0" * 32, runs["domain"].info.run_id):
        with pytest.raises(RecipeError, match=f"{other}.* is no run of ours"):
            leaderboard(other, store.uri)
