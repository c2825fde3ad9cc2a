"""From a sweep's YAML to complete recipes, or to every fault at once."""

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.errors import RecipeError
from distill.recipe import load as load_recipe
from distill.sweep import Sweep, is_sweep, load
from distill.sweep.points import names

RECIPE = """
name: tiny
data:
  path: rows.parquet
  time: time
  split: {by: column, column: split}
  features: {item_id: categorical, hour: categorical}
teacher:
  model: {class: teachers.AttentiveCross, embedding: 4}
students:
  model: {class: students.DNN, embedding: 4, hidden: [8]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    return tmp_path


def sweep(folder: Path, text: str, *overrides: str) -> Sweep:
    (folder / "sweep.yaml").write_text(f"base: tiny.yaml\n{text}")
    return load(folder / "sweep.yaml", overrides)


def faults(folder: Path, text: str, *overrides: str) -> list[str]:
    with pytest.raises(RecipeError) as error:
        sweep(folder, text, *overrides)
    return [str(fault).replace(f"{folder}/", "") for fault in error.value.faults]


def test_a_grid_is_every_combination_in_the_order_of_the_file(folder: Path) -> None:
    """The first key moves slowest."""
    found = sweep(folder, "grid: {students.train.learning_rate: [1.0e-3, 2.0e-3], students.train.epochs: [1, 2, 3]}")
    expected = list(product([1e-3, 2e-3], [1, 2, 3]))
    assert [(p.recipe.students.train.learning_rate, p.recipe.students.train.epochs) for p in found.points] == expected
    assert found.points[1].name == "learning_rate=0.001 epochs=2"
    assert found.name == "sweep"


def test_a_point_is_the_recipe_with_its_changes_as_overrides(folder: Path) -> None:
    """Complete, defaults and paths among it, and equal to what the command line gives."""
    (point,) = sweep(folder, "grid: {students.model.hidden: [[16, 8]]}", "seed=3").points
    assert point.recipe == load_recipe(folder / "tiny.yaml", ["seed=3", "students.model.hidden=[16,8]"])
    assert point.changes == {"students.model.hidden": [16, 8]}


def test_grid_list_and_random_multiply(folder: Path) -> None:
    """Two rates, two entries, three draws."""
    text = """
grid: {students.train.learning_rate: [1.0e-3, 2.0e-3]}
list:
  - {students.train.epochs: 1}
  - {students.train.epochs: 2, students.seeds: 2}
random: {n: 3, students.model.dropout: {low: 0.0, high: 0.5}, students.train.batch: {low: 32, high: 64}}
"""
    found = sweep(folder, text).points
    assert len({point.name for point in found}) == len(found) == 12
    assert {point.recipe.students.seeds for point in found} == {1, 2}
    assert len({point.recipe.students.model.config.dropout for point in found}) == 3
    assert all(32 <= point.recipe.students.train.batch <= 64 for point in found)


def test_more_draws_leave_the_first_as_they_are(folder: Path) -> None:
    """And other keys do, too: a draw depends on its key and number."""
    rate = "students.train.learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}"
    few = sweep(folder, f"random: {{n: 4, {rate}}}").points
    more = sweep(folder, f"random: {{n: 40, {rate}, students.model.dropout: {{low: 0, high: 0.5}}}}").points
    drawn = [point.recipe.students.train.learning_rate for point in more]
    assert drawn[:4] == [point.recipe.students.train.learning_rate for point in few]
    assert sum(rate < 1e-3 for rate in drawn) == pytest.approx(20, abs=8)
    assert all(1e-4 <= rate <= 1e-2 for rate in drawn)


def test_a_changed_class_keeps_the_other_changes_of_its_section(folder: Path) -> None:
    """In whatever order they stand; the settings of the old class go."""
    text = "list: [{students.model.hidden: [4], students.model.class: students.DCNv2}]"
    (point,) = sweep(folder, text).points
    model = point.recipe.students.model
    assert model.path == "students.DCNv2" and model.config.hidden == (4,)


def test_the_last_pattern_that_fits_a_vertical_decides(folder: Path) -> None:
    """Others keep to the point."""
    text = """
grid: {students.train.epochs: [1, 2]}
verticals:
  "travel*": {students.train.learning_rate: 0.5}
  "travel_rail": {students.train.epochs: 7}
"""
    point = sweep(folder, text).points[1]
    assert [point.number_of(name) for name in ("food", "travel_air", "travel_rail")] == [0, 1, 2]
    assert [recipe.students.train.epochs for recipe in point.recipes] == [2, 2, 7]
    assert point.recipes[1].students.train.learning_rate == 0.5


def test_every_fault_of_every_point_is_told_once_and_where_it_stands(folder: Path) -> None:
    """Those of the sweep itself, of a value, and of a key; two points have each."""
    text = """
grid:
  students.train.learning_rate: [1.0e-3, -2]
  students.train.epoch: [1, 2]
  store: [a]
  students.seeds: 3
random: {n: 2, students.train.beta1: {low: 2, high: 1}}
colour: red
"""
    told = faults(folder, text)
    assert len(told) == 6
    for line, words in (
        (4, "learning_rate: expected a number above 0, not -2"),
        (5, 'unknown key. Did you mean "epochs"'),
        (6, "grid.store: a sweep varies data, teacher, teachers, students and seed"),
        (7, "grid.students.seeds: expected a list"),
        (8, "random.students.train.beta1: expected a range"),
        (9, "colour: unknown key"),
    ):
        assert any(fault.startswith(f"sweep.yaml:{line}:") and words in fault for fault in told), (words, told)


def test_the_base_must_be_there(folder: Path) -> None:
    """Without it there is nothing to say of the rest."""
    (folder / "tiny.yaml").unlink()
    assert "there is no such file" in faults(folder, "grid: {seed: [1]}")[0]
    (folder / "sweep.yaml").write_text("grid: {seed: [1]}")
    with pytest.raises(RecipeError, match="base: expected the path of a recipe"):
        load(folder / "sweep.yaml")


def test_what_is_varied_is_not_overridden_or_varied_twice(folder: Path) -> None:
    """One of both would silently win."""
    grid = "grid: {students.train.epochs: [1, 2]}\n"
    assert "the sweep varies this key" in faults(folder, grid, "students.train.epochs=3")[0]
    assert "the sweep varies this key" in faults(folder, grid, "students.train={epochs: 3}")[0]
    assert "is varied twice" in faults(folder, f"{grid}list: [{{students.train.epochs: 5}}]")[0]


def test_only_students_have_settings_by_vertical(folder: Path) -> None:
    """A teacher is everybody's."""
    text = 'verticals: {"*": {teacher.train.batch: 64, students.model.class: students.DCNv2}}'
    assert len(faults(folder, text)) == 2


def test_equal_points_are_one(folder: Path) -> None:
    """However they were written."""
    assert len(sweep(folder, "grid: {students.train.epochs: [1, 1, 2]}").points) == 2


def test_a_recipe_is_no_sweep(folder: Path) -> None:
    """Nor is a file that is not there."""
    sweep(folder, "grid: {seed: [1, 2]}")
    assert is_sweep(folder / "sweep.yaml")
    assert not is_sweep(folder / "tiny.yaml") and not is_sweep(folder / "none.yaml")


@given(st.lists(st.dictionaries(st.sampled_from(["a.b.c", "a.d.c", "c", "e"]), st.integers(0, 2)), min_size=1))
def test_names_tell_points_apart(changes: list[dict[str, int]]) -> None:
    """Whatever they change."""
    assert len(set(names(changes))) == len(changes)


def test_halving_grows_its_budgets_itself(folder: Path) -> None:
    """Three budgets; half of the points, rounded up, go on."""
    grid = "grid: {students.train.learning_rate: [1.0e-3, 2.0e-3, 4.0e-3]}\n"
    found = sweep(folder, f"{grid}halving: {{passes: [1, 2, 4]}}")
    assert found.halving.left(3) == 2 and found.halving.left(1) == 1
    changes = ["students.train.learning_rate=1.0e-3", "students.train.epochs=4"]
    assert found.points[0].at(4).recipe == load_recipe(folder / "tiny.yaml", changes)
    for wrong in ("{passes: [2, 1]}", "{passes: 4}", "{passes: [1, 2], keep: 2}", "{keep: 0.5}", "true"):
        assert "expected growing budgets" in faults(folder, f"{grid}halving: {wrong}")[0]
    text = "grid: {students.train.epochs: [1, 2]}\nhalving: {passes: [1, 2]}"
    assert "decides students.train.epochs itself" in faults(folder, text)[0]


SHIPPED = sorted((Path(__file__).resolve().parents[3] / "recipes" / "sweeps").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=[path.stem for path in SHIPPED])
def test_every_shipped_sweep_loads_and_opens_with_how_to_run_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    points = load(path, ["data.path=rows.parquet"] if "data.path=FILE" in text else []).points
    assert len(points) == len({point.name for point in points}) > 1
    first, second, *_ = text.splitlines()
    assert first.startswith("# Run:    distill ") and f" recipes/sweeps/{path.name}" in first
    assert second.startswith("# Needs:  ")


@pytest.mark.parametrize(
    ("name", "starts"), [("channels", [None, "domain"]), ("synthetic_channels", [None, "teacher"])]
)
def test_the_ablation_has_every_combination_of_channels_but_the_control(name: str, starts: list[str | None]) -> None:
    [path] = [path for path in SHIPPED if path.stem == name]
    overrides = ["data.path=rows.parquet"] if name == "channels" else []
    channels = [point.recipe.students.distill for point in load(path, overrides).points]
    channels = [one for one in channels if one.logit.head == "serving"]
    found = [(one.logit.weight > 0, one.sharing and one.sharing.source, one.input is not None) for one in channels]
    assert set(found) == set(product([False, True], starts, [False, True])) - {(False, None, False)}
    assert len(found) == len(set(found))
