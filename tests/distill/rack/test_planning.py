"""The plan of a recipe's teacher: every size, as large as asked for."""

import json
from pathlib import Path

import pytest

from distill.errors import RecipeError
from distill.planning import plan
from distill.rack import Rack, rack_plan
from distill.recipe import load

GEM = "teacher.model={class: teachers.GEM}"
SIZES = ["nano", "small", "base", "large", "xl"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rack")


def quickstart(store: Path, *overrides: str):
    return load(Path("recipes/quickstart.yaml"), [f"store={store}", *overrides])


def test_every_size_has_its_counts_and_its_step(store: Path) -> None:
    recipe = quickstart(store, GEM)
    table = rack_plan(recipe, Rack(16))
    assert [row["size"] for row in table["sizes"]] == [row["size"] for row in table["step"]] == SIZES
    for row, known in zip(table["sizes"], plan(recipe)["sizes"], strict=True):
        assert {name: row[name] for name in ("dense", "sparse", "flops")} == {
            name: known[name] for name in ("dense", "sparse", "flops")
        }
    assert [row["milliseconds"] for row in table["step"]] == sorted(row["milliseconds"] for row in table["step"])
    json.dumps(table, allow_nan=False)


def test_a_trillion_parameters_need_many_devices(store: Path) -> None:
    table = rack_plan(quickstart(store, GEM), Rack(8, parameters=1e12))
    assert table["step"] == table["throughput"] == []
    assert all(row["least_devices"] >= 64 for row in table["sizes"])
    table = rack_plan(quickstart(store, GEM), Rack(64, parameters=1e12))
    assert [row["size"] for row in table["throughput"]] == SIZES
    assert all(row["devices_to_keep_up"] >= 64 for row in table["throughput"])


def test_a_teacher_without_a_dial_has_one_size(store: Path) -> None:
    assert [row["size"] for row in rack_plan(quickstart(store), Rack(1))["sizes"]] == ["as given"]


def test_an_unknown_device_is_refused(store: Path) -> None:
    with pytest.raises(RecipeError, match="Did you mean"):
        rack_plan(quickstart(store), Rack(1, "h10"))
