"""Every student that recipes may name passes the battery, with each of its switches, and runs stacked as it is."""

from typing import Any

import pytest
import torch
from torch.utils._pytree import tree_map

import students
from distill.errors import RecipeError
from distill.fleet import Fleet
from distill.ranker import Ranker
from distill.testing import check_ranker, example_features, example_schema
from distill.testing.battery import CHECKS, Trial, check_gradients
from distill.testing.examples import example_schemas

TINY: dict[str, dict[str, Any]] = {
    "DCNv2": {"hidden": (6, 5)},
    "DIN": {"attention": (5,), "hidden": (6, 5)},
    "DNN": {"hidden": (6, 5)},
    "DeepFM": {"hidden": (6, 5)},
    "FM": {},
    "FinalMLP": {"gate": 5, "hidden": (6, 4), "other_hidden": (6,), "heads": 2},
    "FinalNet": {"hidden": (6, 5)},
    "LR": {},
    "MMoE": {"experts": 2, "hidden": (6,), "tower": (4,)},
    "MaskNet": {"blocks": (6, 5), "hidden": (5,)},
    "PEPNet": {"gate": 5, "hidden": (6, 5)},
    "PLE": {"experts": 1, "hidden": (6, 5), "tower": (4,)},
    "TwoTower": {"hidden": (6,), "width": 3},
    "WukongLite": {"factored": 2, "compressed": 2, "rank": 2, "block": (5,), "hidden": (5,)},
}

SWITCHES: list[tuple[str, dict[str, Any]]] = [
    ("DNN", {"batch_norm": True}),
    ("DeepFM", {"batch_norm": True}),
    ("DCNv2", {"batch_norm": True}),
    ("DCNv2", {"structure": "stacked"}),
    ("DCNv2", {"rank": 2}),
    ("FinalMLP", {"contexts": (("item", "age"), ("topics", "text"))}),
    ("FinalNet", {"branches": 1}),
    ("MaskNet", {"structure": "parallel", "reduction": 0.2}),
    ("PEPNet", {"prior": ("device", "hour", "clicked")}),
    ("TwoTower", {"score": "cosine", "temperature": 0.1}),
    ("TwoTower", {"item": ("item", "price", "topics")}),
    ("WukongLite", {"layers": 2}),
]


def config(name: str, settings: dict[str, Any]) -> Any:
    """Small, and with dropout where there is any: out of training it changes nothing."""
    model = getattr(students, name).Config
    common = {"embedding": 4, "dropout": 0.3}
    return model(**{key: value for key, value in common.items() if key in model.model_fields} | TINY[name] | settings)


def build(name: str, settings: dict[str, Any] | None = None, schema: str = "two tasks") -> Ranker:
    return getattr(students, name)(example_schemas()[schema], config(name, settings or {}))


def test_none_is_left_out():
    assert TINY.keys() == set(students.__all__)


@pytest.mark.slow
@pytest.mark.parametrize("name", students.__all__)
def test_keeps_the_promises_of_a_ranker_on_every_kind_of_features(name):
    check_ranker(getattr(students, name), config(name, {}))


@pytest.mark.parametrize(("name", "settings"), [*((name, {}) for name in students.__all__), *SWITCHES])
def test_keeps_the_promises_of_a_ranker(name, settings):
    schema = example_schemas()["two tasks"]  # Some switches name features, which other examples do not have.
    for check in CHECKS:
        check(Trial(getattr(students, name), config(name, settings), schema))


@pytest.mark.parametrize("name", students.__all__)
def test_copes_with_features_that_are_not_there(name):
    for schema in example_schemas().values():
        check_gradients(Trial(getattr(students, name), config(name, {}), schema))


@pytest.mark.parametrize(("name", "settings"), [*((name, {}) for name in students.__all__), *SWITCHES])
def test_a_stack_needs_no_mapping(name, settings):
    rankers = [build(name, settings).eval() for _ in range(3)]
    rows = [example_features(example_schema(), 4, torch.Generator().manual_seed(seed)) for seed in range(3)]
    assert Fleet(rankers).eval().direct(tree_map(lambda *tensors: torch.stack(tensors), *rows))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("PEPNet", {"prior": ("devise",)}),
        ("TwoTower", {"item": ("devise",)}),
        ("FinalMLP", {"contexts": ((), ("devise",))}),
    ],
)
def test_an_unknown_feature_is_named_beside_the_nearest_one(name, settings):
    with pytest.raises(RecipeError, match=r"devise.*device"):
        build(name, settings)


def test_heads_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="multiples of `heads`"):
        students.FinalMLP.Config(hidden=(8,), other_hidden=(6,), heads=4)
