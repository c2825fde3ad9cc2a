"""Extending, overriding, defaults that depend on the data, and paths."""

from collections.abc import Callable
from pathlib import Path

import pytest

from distill.data.settings import Categorical, Numeric, SplitByHash
from distill.errors import RecipeError
from distill.recipe import Recipe, load
from distill.recipe.sections import CrossFit, OutsideTeacher, TimeAhead
from tests.distill.recipe.conftest import SAMPLE

Loads = Callable[..., Recipe]
Write = Callable[..., Path]


def child(write: Write, text: str, *overrides: str) -> Recipe:
    write(SAMPLE, "parent.yaml")
    return load(write(f"extends: parent.yaml\n{text}", "child.yaml"), overrides)


def fault_of(write: Write, text: str, *overrides: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        child(write, text, *overrides)
    return [str(fault) for fault in caught.value.faults]


def test_maps_merge_deeply_and_lists_are_replaced(write: Write) -> None:
    recipe = child(write, "data: {features: {age: {kind: numeric, transform: [log1p]}, device: categorical}}")
    assert recipe.name == "sample"
    assert recipe.data.features["age"] == Numeric(transform=("log1p",))
    assert set(recipe.data.features) == {"age", "city", "tags", "history", "device"}


def test_a_feature_in_short_can_be_extended(write: Write) -> None:
    assert child(write, "data: {features: {age: {missing: mean}}}").data.features["age"] == Numeric(missing="mean")
    assert child(write, "", "data.features.city.hash=9").data.features["city"] == Categorical(hash=9)


@pytest.mark.parametrize(
    ("text", "overrides"),
    [
        ("data: {split: {by: hash, column: user}}", ()),
        ("", ("data.split.by=hash", "data.split.column=user")),
        ("", ("data.split.column=user", "data.split.by=hash")),
    ],
)
def test_a_section_of_another_kind_replaces_the_old_one(write: Write, text: str, overrides: tuple[str, ...]) -> None:
    """Were it merged, the times of the old split would be unknown keys of the new one."""
    write(SAMPLE.replace("{by: column, column: split}", "{by: time, valid: 3, test: 4}"), "grandparent.yaml")
    recipe = load(write(f"extends: grandparent.yaml\n{text}", "child.yaml"), overrides)
    assert recipe.data.split == SplitByHash(column="user")


def test_a_teacher_from_outside_replaces_a_trained_one_and_back(write: Write) -> None:
    recipe = child(write, "data: {row_id: id}\nteacher: {knowledge: logits.parquet}")
    assert isinstance(recipe.teacher, OutsideTeacher)
    overrides = ("data.row_id=id", "teacher.knowledge=logits.parquet", "teacher.model.class=toys.Tower")
    assert len(fault_of(write, "", *overrides)) == 1, "overrides that say both are wrong"
    assert len(fault_of(write, "", *overrides[:2], "teacher.train.epochs=1")) == 1
    write(
        SAMPLE.replace("model: {class: toys.Tower}", "knowledge: k.parquet").replace("user:", "row_id:"), "outer.yaml"
    )
    assert load(write("extends: outer.yaml\nteacher: {model: {class: toys.Line}}")).teacher.model.path == "toys.Line"


def test_a_model_of_another_class_drops_the_settings_of_the_old(write: Write) -> None:
    write(SAMPLE.replace("{class: toys.Tower}", "{class: toys.Tower, width: 3}"), "wide.yaml")
    recipe = load(write("extends: wide.yaml", "child.yaml"), ["teacher.model.class=toys.Line"])
    assert recipe.teacher.model.model_extra == {"bias": True}


def test_a_recipe_may_extend_one_that_extends(write: Write) -> None:
    write("extends: ../parent.yaml\nseed: 1\nname: middle", "inner/middle.yaml")
    write(SAMPLE, "parent.yaml")
    recipe = load(write("extends: inner/middle.yaml\nseed: 2", "child.yaml"))
    assert (recipe.name, recipe.seed, recipe.students.train.epochs) == ("middle", 2, 3)


def test_a_circle_is_refused(write: Write) -> None:
    write("extends: b.yaml", "a.yaml")
    write("extends: a.yaml", "b.yaml")
    with pytest.raises(RecipeError) as caught:
        load(Path("a.yaml"))
    assert str(caught.value) == (
        'b.yaml:1:1: extends: "a.yaml" extends itself: a circle of recipes has no start. Cut it.'
    )


def test_what_cannot_be_extended_is_one_fault_at_extends(write: Write) -> None:
    with pytest.raises(RecipeError, match=r'^child.yaml:2:1: extends: "parnt.yaml": there is no such file'):
        load(write("seed: -1\nextends: parnt.yaml", "child.yaml"))
    with pytest.raises(RecipeError, match=r"^child.yaml:1:1: extends: expected the path of another recipe, as text"):
        load(write("extends: [a]", "child.yaml"))


def test_extends_misspelt_is_one_fault(write: Write) -> None:
    write(SAMPLE, "parent.yaml")
    with pytest.raises(RecipeError) as caught:
        load(write("extnds: parent.yaml\nseed: 3", "child.yaml"))
    assert str(caught.value) == 'child.yaml:1:1: extnds: unknown key. Did you mean "extends"?'


def test_a_fault_in_a_parent_is_told_at_the_parent(write: Write) -> None:
    write(SAMPLE.replace("epochs", "epoch"), "parent.yaml")
    with pytest.raises(RecipeError) as caught:
        load(write("extends: parent.yaml\nsed: 3", "child.yaml"))
    assert [fault.where for fault in caught.value.faults] == [
        "child.yaml:2:1: sed",
        "parent.yaml:16:11: students.train.epoch",
    ]


def test_overrides_are_yaml_and_the_last_one_holds(sample: Loads) -> None:
    overrides = ("students.train.learning_rate=1e-3", "students.features=[age, city]", "seed=1", "seed=2", "data.user=")
    recipe = sample(None, *overrides)
    assert recipe.students.train.learning_rate == 0.001
    assert recipe.students.features == ("age", "city")
    assert (recipe.seed, recipe.data.user) == (2, None)


def test_paths_are_relative_to_where_they_are_written(write: Write, tmp_path: Path) -> None:
    write(SAMPLE, "recipes/parent.yaml")
    write("extends: ../recipes/parent.yaml", "mine/child.yaml")
    write("extends: ../recipes/parent.yaml\ndata: {path: rows.csv}", "mine/own.yaml")
    assert load(Path("mine/child.yaml")).data.path == tmp_path / "recipes/rows.parquet"
    assert load(Path("mine/own.yaml")).data.path == tmp_path / "mine/rows.csv"
    assert load(Path("mine/own.yaml"), ["data.path=other/../rows.csv"]).data.path == tmp_path / "rows.csv"
    assert load(Path("mine/own.yaml"), ["data.path=/there/*.csv"]).data.path == Path("/there/*.csv")
    assert load(Path("mine/own.yaml"), ["data.path=~/x.csv"]).data.path == Path.home() / "x.csv"
    outside = load(Path("mine/own.yaml"), ["data.row_id=id", "teacher.knowledge=k.parquet"])
    assert outside.teacher.knowledge == tmp_path / "k.parquet"


@pytest.mark.parametrize(
    ("overrides", "score"),
    [
        ([], TimeAhead()),
        (["data.user="], TimeAhead()),
        (["data.time="], CrossFit(by="user_id")),
        (["teacher.score.kind=cross_fit", "teacher.score.by=city"], CrossFit(by="city")),
    ],
)
def test_how_a_teacher_scores_follows_from_the_data(sample: Loads, overrides: list[str], score: object) -> None:
    assert sample(None, *overrides).teacher.score == score


def test_the_settings_of_a_ranker_are_filled_in(sample: Loads) -> None:
    assert sample().teacher.model.model_extra == {"width": 8, "layers": [4, 2]}


def test_a_teacher_keeps_its_own_defaults_when_only_one_setting_is_given(sample: Loads) -> None:
    train = sample(None, "teacher.train.learning_rate=0.1").teacher.train
    assert (train.epochs, train.batch, train.learning_rate) == (1, 1024, 0.1)


def test_loading_twice_gives_equal_recipes(sample: Loads) -> None:
    assert sample() == sample()
    assert sample() != sample(None, "teacher.model.width=9")


def test_a_sweep_in_the_place_of_a_recipe_is_one_fault(write: Write) -> None:
    path = write("base: parent.yaml\ngrid: {seed: [1, 2]}\n", "many.yaml")
    with pytest.raises(RecipeError) as caught:
        load(path)
    assert [fault.what for fault in caught.value.faults] == ["is a sweep, where one recipe is needed."]
