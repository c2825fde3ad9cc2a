"""From a recipe to a leaderboard and to MLflow, once and again."""

import json
import os
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import polars as pl
import pytest

from distill.errors import RecipeError
from distill.pipeline import compare, plan, run
from distill.progress import Progress
from distill.recipe import Recipe, load
from distill.recipe.sections import Model

RECIPE = """
name: tiny
data:
  world: {verticals: 4, domains: 2, users: 80, items: 40, rows: 3000, days: 6}
  domain: domain
  row_id: row_id
  time: time
  user: user_id
  split: {by: column, column: split}
  features:
    item_id: {kind: categorical, hide: 0.1}
    hour: categorical
    user_activity: numeric
    clicked: {kind: sequence, columns: {hist_items: item_id}, newest: first, length: 5}
teacher:
  model: {class: teachers.AttentiveCross, embedding: 4, hidden: [8], heads: 1}
  train: {batch: 64, learning_rate: 5.0e-3}
students:
  model: {class: students.DNN, embedding: 4, hidden: [8]}
  features: [item_id, hour, user_activity]
  train: {epochs: 2, batch: 32}
evidence: {resamples: 200}
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    folder = tmp_path_factory.mktemp("pipeline")
    (folder / "tiny.yaml").write_text(RECIPE)
    return load(folder / "tiny.yaml", [f"store={folder}/mlruns", f"tracking.uri=sqlite:///{folder}/mlruns/mlflow.db"])


@pytest.fixture(scope="module")
def before(recipe: Recipe) -> dict:
    return plan(recipe)


@pytest.fixture(scope="module")
def table(recipe: Recipe, before: dict) -> dict:
    return run(recipe, Progress())


def test_a_plan_trains_nothing_and_says_what_a_run_would(before: dict) -> None:
    """Four verticals, two arms, nothing there yet."""
    assert (before["members"], before["cached"]) == (8, 0)
    assert [stage["stage"] for stage in before["stages"]] == ["data", "teacher", "students"]
    assert sum(cohort["members"] for cohort in before["cohorts"]) == 8
    assert before["bytes"] > 0 and before["memory"] > 0
    assert not before["stages"][1]["cached"]


def test_a_plan_says_what_the_teacher_costs_at_every_setting_of_its_dial(recipe: Recipe, before: dict) -> None:
    """One line where there is no dial; all else as the recipe says."""
    (chosen,) = before["sizes"]
    assert (chosen["class"], chosen["size"], chosen["chosen"]) == ("teachers.AttentiveCross", None, True)
    assert min(chosen[part] for part in ("dense", "sparse", "flops", "memory")) > 0
    model = Model.model_validate({"class": "teachers.GEM", "size": "nano", "layers": 3})
    gem = recipe.model_copy(update={"teacher": recipe.teacher.model_copy(update={"model": model})})
    sizes = plan(gem)["sizes"]
    assert [row["size"] for row in sizes if row["chosen"]] == ["nano"]
    assert [row["dense"] for row in sizes] == sorted({row["dense"] for row in sizes})
    assert len(sizes) == 5


def test_a_plan_after_a_run_finds_everything(recipe: Recipe, table: dict) -> None:
    """And names no cohort."""
    after = plan(recipe)
    assert (after["cached"], after["cohorts"], after["stages"][1]["cached"]) == (8, [], True)


def test_the_leaderboard_has_what_it_promises(table: dict) -> None:
    """A row for each student of each arm, JSON all through, recorded in MLflow."""
    assert json.loads(json.dumps(table)) == table
    assert {"recipe", "fingerprint", "seconds", "students", "summary", "method"} <= set(table)
    assert sorted({row["arm"] for row in table["students"]}) == ["control", "distilled"]
    assert len({row["member"] for row in table["students"]}) == len(table["students"]) == 8
    assert all(row["run_id"] and row["knowledge_kind"] == "time_ahead" for row in table["students"])
    assert {"data", "teacher", "students", "evidence", "tracking"} <= set(table["seconds"])


def test_a_second_call_finds_everything(recipe: Recipe, table: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is trained, judged or recorded again, and `compare` shows the same."""
    for name in ("distill.cohort.train", "distill.scoring.train", "distill.judging.judge"):
        monkeypatch.setattr(name, lambda *_: pytest.fail("done again"))
    again = run(recipe, Progress())
    assert again | {"seconds": 0} == table | {"seconds": 0}
    assert compare(recipe)["students"] == table["students"]


def test_what_has_not_been_run_cannot_be_compared(recipe: Recipe, table: dict) -> None:
    """Other settings are another run."""
    other = recipe.model_copy(update={"seed": 9})
    with pytest.raises(RecipeError, match="distill run"):
        compare(other)


def test_a_student_in_mlflow_carries_what_the_leaderboard_says(recipe: Recipe, table: dict) -> None:
    """Child of the recipe's run, with tags, settings, curves and final metrics."""
    from mlflow import MlflowClient

    client = MlflowClient(recipe.tracking.uri)
    row = next(row for row in table["students"] if row["arm"] == "distilled")
    child = client.get_run(row["run_id"])
    parent = client.get_run(child.data.tags["mlflow.parentRunId"])
    assert parent.data.tags["distill.role"] == "recipe"
    assert child.data.tags["distill.vertical"] == row["vertical"]
    assert child.data.metrics["ne"] == pytest.approx(row["ne"])
    assert child.data.params["logit_weight"] == "0.5"
    assert len(client.get_metric_history(row["run_id"], "train/loss")) == 2
    names = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert {"recipe.yaml", "leaderboard.md", "leaderboard.json", "environment.txt", "report.html", "figures"} <= names
    (data,) = parent.inputs.dataset_inputs
    assert (data.dataset.name, len(data.dataset.digest)) == ("tiny", 16)
    folder = client.download_artifacts(parent.info.run_id, "recipe.yaml")
    assert load(Path(folder)).model_dump() == recipe.model_dump()


def test_nothing_is_recorded_where_the_recipe_says_so(
    recipe: Recipe, table: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same table, without run ids; MLflow is not asked."""
    monkeypatch.setattr("distill.tracking.tracker.Tracker.record", lambda *_: pytest.fail("recorded"))
    silent = recipe.model_copy(update={"tracking": recipe.tracking.model_copy(update={"uri": None})})
    again = run(silent, Progress())
    assert _timeless(again) == _timeless(table)
    assert all(row["run_id"] is None for row in again["students"])


def test_without_a_student_there_is_one_sentence(recipe: Recipe) -> None:
    """No vertical is large enough."""
    students = recipe.students.model_copy(update={"min_rows": 10**6})
    with pytest.raises(RecipeError, match="no vertical has 1000000 training rows"):
        run(recipe.model_copy(update={"students": students}), Progress())


def test_a_plan_with_an_outside_teacher_finds_what_was_run(tmp_path: Path) -> None:
    """Its students are known by the scores they learnt from."""
    head, _, rest = RECIPE.partition("teacher:\n")
    students = rest[rest.index("students:") :]
    (tmp_path / "tiny.yaml").write_text(f"{head}teacher: {{knowledge: scores.parquet}}\n{students}")
    pl.DataFrame({"row_id": range(3000), "logit": [-1.0] * 3000}).write_parquet(tmp_path / "scores.parquet")
    recipe = load(tmp_path / "tiny.yaml", [f"store={tmp_path}/mlruns", "tracking.uri=null"])
    assert plan(recipe)["cached"] == 0
    told = StringIO()
    table = run(recipe, Progress(told))
    assert told.getvalue().count("audit of click: the teacher's NE is ") == 1
    assert {row["knowledge_kind"] for row in table["students"]} == {"unknown"}
    assert plan(recipe)["cached"] == 8


STAGES = ("data", "teacher", "students", "evidence", "tracking")


@pytest.mark.slow
def test_killed_in_each_stage_the_table_is_the_same(tmp_path: Path, table: dict) -> None:
    """kill -9 as each stage begins and a little later, then once to the end: all but seconds and run ids agree."""
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    command = [sys.executable, "-m", "distill.cli", "run", "tiny.yaml", "--json", "out.json"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for stage in STAGES:
        for delay in (0.0, 0.3):
            process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment)
            for line in process.stderr:
                if line.startswith(stage):
                    time.sleep(delay)
                    process.send_signal(signal.SIGKILL)
                    break
            process.stderr.close()
            process.wait()
    subprocess.run(command, cwd=tmp_path, check=True, env=environment)
    again = json.loads((tmp_path / "out.json").read_text())
    assert _timeless(again) == _timeless(table)
    assert len({row["run_id"] for row in again["students"]}) == 8


def _timeless(table: dict) -> dict:
    rows = [{name: value for name, value in row.items() if name != "run_id"} for row in table["students"]]
    return table | {"seconds": None, "cpu_seconds": None, "time": None, "cost": None, "students": rows}
