"""A sweep trains one pool, each student once, and each as if its recipe were alone."""

import json
from pathlib import Path

import numpy as np
import pytest

from distill import pipeline
from distill.cohort import find
from distill.data.impressions import load as load_impressions
from distill.errors import RecipeError
from distill.progress import Progress
from distill.recipe import Recipe
from distill.recipe import load as load_recipe
from distill.store import Store
from distill.sweep import Sweep, compare, load
from distill.sweep.planning import plan
from distill.sweep.running import run, train_share

RECIPE = """
name: tiny
data:
  world: {verticals: 4, domains: 2, users: 80, items: 40, rows: 3000, days: 6}
  domain: domain
  row_id: row_id
  time: time
  user: user_id
  split: {by: column, column: split}
  features: {item_id: {kind: categorical, hide: 0.1}, hour: categorical, user_activity: numeric}
teacher:
  model: {class: teachers.AttentiveCross, embedding: 4, hidden: [8], heads: 1}
  train: {batch: 64, learning_rate: 5.0e-3}
students:
  model: {class: students.DNN, embedding: 4, hidden: [8]}
  train: {epochs: 2, batch: 64, least_steps: 4}
evidence: {resamples: 100}
"""

SWEEP = """
base: tiny.yaml
list:
  - {students.distill.logit.weight: 0.5}
  - {students.distill.logit.weight: 0.9, students.distill.logit.temperature: 2.0}
  - {students.train.learning_rate: 1.0e-2, students.model.dropout: 0.4, students.train.weight_decay: 0.1,
     students.distill.sharing: {tables: pulled, rate: 0.5}, students.distill.schedule.decay: cosine}
  - {students.model.hidden: [6]}
verticals: {"vertical_1": {students.train.beta1: 0.5}}
"""


def loaded(folder: Path, text: str = SWEEP, name: str = "sweep", *overrides: str) -> Sweep:
    (folder / "tiny.yaml").write_text(RECIPE)
    (folder / f"{name}.yaml").write_text(text)
    return load(folder / f"{name}.yaml", [*places(folder), *overrides])


UNTRACKED = "tracking.uri=null"


def places(folder: Path) -> list[str]:
    return [f"store={folder}/mlruns", f"tracking.uri=sqlite:///{folder}/mlruns/mlflow.db"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sweep")


@pytest.fixture(scope="module")
def sweep(folder: Path) -> Sweep:
    return loaded(folder)


@pytest.fixture(scope="module")
def before(sweep: Sweep) -> dict:
    return plan(sweep)


@pytest.fixture(scope="module")
def table(sweep: Sweep, before: dict) -> dict:
    return run(sweep, Progress())


def timeless(table: dict) -> dict:
    """All but seconds and run ids."""
    rows = [{name: value for name, value in row.items() if name != "run_id"} for row in table["students"]]
    return table | {"seconds": None, "students": rows}


def test_a_plan_counts_every_student_once(before: dict) -> None:
    """Four verticals; three points of one shape with two different controls, one of another shape."""
    assert before["members"] == 4 * (4 + 3) and before["shared"] == 4
    assert [stage["stage"] for stage in before["stages"]] == ["data", "teacher", "students"]
    assert sum(cohort["members"] for cohort in before["cohorts"]) == before["members"]
    assert before["seconds"] > 0 and before["cached"] == 0


def test_settings_for_a_vertical_that_is_not_there_are_refused(
    folder: Path, before: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the plan, and by the sweep before it trains a teacher; the other pattern fits."""
    monkeypatch.setattr("distill.sweep.pool.teach", lambda *_: pytest.fail("a teacher was trained"))
    text = "base: tiny.yaml\nverticals: {vertcal_2: {students.seeds: 2}, '*_1': {students.seeds: 2}}"
    wrong = loaded(folder, text, "wrong")
    for verb in (plan, lambda sweep: run(sweep, Progress())):
        with pytest.raises(RecipeError, match=r'^verticals\.vertcal_2: fits no vertical\. Did you mean "vertical_2"'):
            verb(wrong)


def test_members_of_several_points_stand_in_one_stack(folder: Path, table: dict) -> None:
    """Rates, dropout, weights, temperatures, starts and schedules differ within it; another shape is another stack."""
    found = find(Store(folder / "mlruns").cohorts)
    members = [member for cohort in found for member in cohort.members]
    assert len({member.fingerprint for member in members}) == len(members) == 28
    assert all(len({member.stack for member in cohort.members}) == 1 for cohort in found)
    mixed = max(found, key=lambda cohort: len({json.dumps(one.settings) for one in cohort.members}))
    for name in ("learning_rate", "dropout", "weight_decay", "logit_weight", "temperature"):
        assert len({member.settings[name] for member in mixed.members}) > 1


def test_every_student_is_what_its_recipe_gives_alone(folder: Path, sweep: Sweep, table: dict, tmp_path: Path) -> None:
    """Other stacks, so up to rounding; in the third point everything differs from the rest of its stack."""
    point = sweep.points[2]
    alone: Recipe = point.recipe.model_copy(
        update={"store": tmp_path, "tracking": point.recipe.tracking.model_copy(update={"uri": None})}
    )
    ours = {row["member"]: row for row in table["students"] if row["point"] == point.name}
    special = "vertical_1"
    for row in pipeline.run(alone, Progress())["students"]:
        if row["vertical"] != special:
            assert ours[row["member"]]["ne"] == pytest.approx(row["ne"], abs=1e-4)
            assert ours[row["member"]]["settings"] == row["settings"]
        elif row["arm"] == "distilled":
            assert ours[row["member"]]["settings"]["beta1"] == 0.5 != row["settings"]["beta1"]


def test_each_point_has_the_leaderboard_of_its_recipe(folder: Path, table: dict) -> None:
    """`distill run` with the same changes finds every student and every figure."""
    text = "base: tiny.yaml\ngrid: {students.distill.logit.weight: [0.5]}"
    whole = run(loaded(folder, text, "other", UNTRACKED), Progress())
    recipe = load_recipe(folder / "tiny.yaml", [*places(folder), UNTRACKED, "students.distill.logit.weight=0.5"])
    one = pipeline.run(recipe, Progress())
    assert whole["points"][0]["fingerprint"] == one["fingerprint"]
    assert whole["points"][0]["ne_gain"] == one["summary"]["ne_gain"]


def test_each_point_says_what_its_students_take(table: dict) -> None:
    """The last point is of another shape; all others are of one, and were trained as fast."""
    *same, other = table["points"]
    assert len({point["parameters"] for point in same}) == 1 and other["parameters"] != same[0]["parameters"]
    trained = [table["seconds"]["train"][point["point"]] for point in same]
    assert len(set(trained)) == 1 and min(trained[0], 1) > 0


def test_the_best_point_is_chosen_on_validation_rows(table: dict, sweep: Sweep) -> None:
    """Both arms have their own best; the summary is of those, and names no student twice."""
    assert {line["vertical"] for line in table["best"]} == {row["vertical"] for row in table["students"]}
    assert len(table["best"]) == 4
    names = [point.name for point in sweep.points]
    assert all(line["point"] in names and line["point_control"] in names for line in table["best"])
    assert table["summary"]["students"] == 4


def test_a_second_call_finds_everything(sweep: Sweep, table: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is trained, judged or recorded again, and `compare` shows the same."""
    for name in ("distill.cohort.train", "distill.scoring.train", "distill.judging.judge"):
        monkeypatch.setattr(name, lambda *_: pytest.fail("done again"))
    again = run(sweep, Progress())
    assert again | {"seconds": 0} == table | {"seconds": 0}
    assert compare(sweep) == again
    after = plan(sweep)
    assert (after["cached"], after["cohorts"], after["seconds"]) == (28, [], 0)


def test_a_new_value_adds_only_itself(folder: Path, sweep: Sweep, table: dict) -> None:
    """Four distilled students; their controls are there. In MLflow they join the parent that is there."""
    from mlflow import MlflowClient

    grown = loaded(folder, SWEEP.replace("verticals:", "  - {students.distill.logit.weight: 0.1}\nverticals:"))
    assert sum(cohort["members"] for cohort in plan(grown)["cohorts"]) == 4
    more = run(grown, Progress())
    assert [row for row in more["students"] if row["point"] in {one.name for one in sweep.points}] == table["students"]
    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    child = client.get_run(more["students"][-1]["run_id"])
    parent = client.get_run(child.data.tags["mlflow.parentRunId"])
    assert parent.data.tags["distill.role"] == "sweep" and parent.info.run_name == "sweep"
    children = client.search_runs(
        [parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'", max_results=1000
    )
    assert len(children) == 28 + 4


def test_what_points_share_is_recorded_once(folder: Path, table: dict) -> None:
    """A control of two points is one run, and has no name of one of them."""
    controls = [row for row in table["students"] if row["arm"] == "control" and row["vertical"] == "vertical_0"]
    assert len(controls) == 4 and len({row["run_id"] for row in controls}) == 3
    assert controls[0]["run_id"] == controls[1]["run_id"]
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    names = {row["point"]: client.get_run(row["run_id"]).info.run_name for row in controls}
    first, second, third, fourth = names
    plain = "vertical_0/control/0"
    assert names == {first: plain, second: plain, third: f"{plain} {third}", fourth: f"{plain} {fourth}"}


def test_what_has_not_been_run_cannot_be_compared(folder: Path, table: dict) -> None:
    """It says how to."""
    with pytest.raises(RecipeError, match="distill sweep"):
        compare(loaded(folder, "base: tiny.yaml\ngrid: {seed: [0, 1]}"))


def test_dropout_of_a_stack_is_each_members_own(folder: Path, sweep: Sweep) -> None:
    """Forward in training mode, beside the ranker with that rate alone."""
    import torch

    from distill.fleet import Fleet, seeded

    recipe = sweep.points[0].recipe
    impressions = load_impressions(recipe.data, Store(recipe.store).data)
    view = impressions.view(None, "vertical")
    vertical = impressions.verticals[0]
    model, rates = recipe.students.model, (0.0, 0.3, 0.6)
    build = lambda place: model.build(view.schema(vertical), {"dropout": rates[place]})  # noqa: E731
    rows = torch.from_numpy(impressions.select(0, vertical)[:50])
    fleet = Fleet(seeded(build, [1, 1, 1]))
    fleet.set_clock(torch.tensor([[1, 4]] * 3))
    together = fleet(view.take(rows.expand(3, -1)).features).logit
    for place in range(3):
        alone = Fleet(seeded(lambda _, place=place: build(place), [1]))
        alone.set_clock(torch.tensor([[1, 4]]))
        said = alone(view.take(rows[None]).features).logit[0]
        assert np.allclose(together[place].detach(), said.detach(), atol=1e-6)
    assert not np.allclose(together[0].detach(), together[1].detach())


def test_halving_trains_the_best_half_on(folder: Path, table: dict) -> None:
    """Four points, two budgets: those with the least validation NE are the two of the table."""
    text = "base: tiny.yaml\ngrid: {students.train.learning_rate: [1.0e-5, 5.0e-3, 1.0e-2, 1.0e-6]}\n"
    sweep = loaded(folder, f"{text}halving: {{passes: [1, 2], keep: 0.5}}", "halving", UNTRACKED)
    before = plan(sweep)
    halved = run(sweep, Progress())
    assert [point["point"] for point in halved["points"]] == ["learning_rate=0.005", "learning_rate=0.01"]
    assert len(halved["rungs"]) == 4 and sum(line["kept"] for line in halved["rungs"]) == 2
    kept = max(line["ne_valid"] for line in halved["rungs"] if line["kept"])
    assert kept < min(line["ne_valid"] for line in halved["rungs"] if not line["kept"])
    assert before["members"] == 8 * 4 + 8 * 2
    whole = run(loaded(folder, text, "whole", UNTRACKED), Progress())
    rates = {point["point"]: point["ne_student"] for point in whole["points"]}
    assert all(point["ne_student"] == pytest.approx(rates[point["point"]], abs=1e-6) for point in halved["points"])


def test_shares_of_several_machines_are_a_whole(tmp_path: Path) -> None:
    """Each trains its own cohorts; what is left for the one that makes the table is nothing."""
    sweep = loaded(tmp_path, "base: tiny.yaml\ngrid: {students.model.hidden: [[8], [6], [4]]}")
    left = [24]
    for number in (2, 0, 1):
        train_share(sweep, Progress(), number, 3)
        left.append(sum(cohort["members"] for cohort in plan(sweep)["cohorts"]))
    assert left == sorted(left, reverse=True) and len(set(left)) > 2 and left[-1] == 0


def test_domain_models_of_all_points_are_a_stage_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """They take long, and are trained before anybody knows how many students there are."""
    text = "base: tiny.yaml\ngrid: {students.model.hidden: [[8], [6]]}\n"
    copies = ["domains={clusters: 1}", "students.distill.sharing={source: domain}", UNTRACKED]
    run(loaded(tmp_path, text, "copies", *copies), progress := Progress())
    told = capsys.readouterr().err
    assert told.index("domains: done") < told.index("students: ") and progress.seconds["domains"] > 0
