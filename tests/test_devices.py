"""No maker of devices is named where the toolkit computes: what Lightning or a plug-in of it knows by name will do."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from lightning.pytorch.accelerators import AcceleratorRegistry, CPUAccelerator

from distill.fleet import Fleet, seeded
from distill.learner import Learner, Pace, accelerator, train
from distill.objective import Objective
from distill.optimizer import Rates
from distill.types import Batch, Features, FeatureSchema
from students import DNN

CHECKOUT = Path(__file__).resolve().parents[1]
MAKERS = ("cuda", "nccl", "rocm", "hip", "npu", "hpu", "xpu")


def named(tree: ast.Module) -> list[str]:
    """Names, attributes and strings in which a maker's device stands; documentation may speak of them."""
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    words = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            words.append(node.attr)
        elif isinstance(node, ast.Name):
            words.append(node.id)
        elif isinstance(node, ast.alias):
            words.append(node.name)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            words.append(node.value)
    parts = [part for word in words for part in word.lower().replace(".", " ").replace(":", " ").split()]
    return [part for part in parts if part in MAKERS]


@pytest.mark.parametrize("code", ["x.cuda()", "torch.cuda.is_available()", "x.to('cuda:0')", "import torch.cuda"])
def test_a_name_is_found(code: str) -> None:
    assert named(ast.parse(code)) == ["cuda"]


def test_documentation_may_speak_of_one() -> None:
    assert named(ast.parse('"""On cuda."""')) == []


def test_no_device_of_a_maker_is_named() -> None:
    packages = ("distill", "students", "teachers")
    paths = [path for package in packages for path in (CHECKOUT / package).rglob("*.py")]
    found = {str(path): named(ast.parse(path.read_text())) for path in paths}
    assert {path: words for path, words in found.items() if words} == {}


class Thrice:
    """The same batch, three times."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def __iter__(self) -> Iterator[Batch]:
        return iter([self.batch] * 3)


class Plugged(CPUAccelerator):
    """An accelerator that nobody has heard of: a processor by another name."""

    @staticmethod
    def name() -> str:
        return "abacus"


@pytest.fixture
def abacus() -> None:
    AcceleratorRegistry.register("abacus", Plugged, description="counts on beads", override=True)
    yield
    AcceleratorRegistry.remove("abacus")


def test_an_accelerator_that_a_plug_in_brings_trains(abacus: None) -> None:
    """By its name alone, as a recipe gives it."""
    schema = FeatureSchema(tasks=("click",), verticals=1, tables={"item": 9}, categorical=("item",))
    rates = Rates.of([{"learning_rate": 1e-2, "weight_decay": 0.0, "beta1": 0.9, "beta2": 0.999, "l2": 0.0}])
    pace = Pace(rates, torch.tensor([3]), (0,), "constant")
    build = lambda: Fleet(seeded(lambda _: DNN(schema, DNN.Config(embedding=2, hidden=(3,))), [0]))  # noqa: E731
    learner = Learner(build, Objective(), pace)
    ids = torch.arange(8).view(1, 8, 1)
    features = Features(torch.zeros(1, 8, dtype=torch.int64), ids, torch.zeros(1, 8, 0), {}, {})
    label = (ids % 2).float()
    batch = Batch(features, label, torch.ones(1, 8, 1, dtype=torch.bool), torch.ones(1, 8), {})
    assert accelerator("abacus") == "abacus"
    train(learner, Thrice(batch), [], "abacus")
    assert learner.costs.item() > 0 and learner.adam.steps.tolist() == [3.0]
