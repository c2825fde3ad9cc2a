"""No maker of devices is named where the toolkit computes: what Lightning or a plug-in of it knows by name will do."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from lightning.pytorch.accelerators import AcceleratorRegistry, CPUAccelerator
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_map, tree_map_only

import students
import teachers
from distill import fleet
from distill.fleet import Fleet, seeded
from distill.layers import dropout
from distill.layers.sequence import buckets
from distill.learner import Learner, Pace, accelerator, train
from distill.objective import Objective
from distill.optimizer import Rates, StackAdam
from distill.ranker import Ranker
from distill.testing import example_features, example_schema
from distill.types import Batch, Features, FeatureSchema, Prediction, Signal
from students import DNN
from teachers import AttentiveCross

CHECKOUT = Path(__file__).resolve().parents[1]
EXAMPLE = example_schema()
RATES = {"learning_rate": 1e-2, "weight_decay": 0.0, "beta1": 0.9, "beta2": 0.999, "l2": 0.0}
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
    rates = Rates.of([RATES])
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


RANKERS = [getattr(package, name) for package in (students, teachers) for name in package.__all__]
QUICK = (DNN, AttentiveCross)


@pytest.fixture
def unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shapes alone do not say whether two results are equal, whether nothing is dropped, and how long histories are."""
    monkeypatch.setattr(fleet, "_close", lambda one, other: True)
    monkeypatch.setattr(dropout, "_idle", lambda threshold: False)
    monkeypatch.setattr(buckets, "traced", lambda: True)


def batch_of(schema: FeatureSchema, members: int) -> Batch:
    """Eight rows for each member, with everything that a batch may have of a teacher."""
    generator = torch.Generator().manual_seed(0)
    features = tree_map(lambda one: one.expand(members, *one.shape), example_features(schema, 8, generator))
    label = torch.rand(members, 8, 1).round()
    said = Signal(Prediction(torch.randn(members, 8, 1), torch.randn(members, 8, 4)), torch.ones(members, 8).bool())
    return Batch(features, label, torch.ones_like(label).bool(), torch.ones(members, 8), {"teacher": said})


def step_there(build: Callable[[int], nn.Module], members: int) -> None:
    """One step of so many members on a device that computes shapes alone, as another than the processor.

    Forward, objective, backward and optimizer; and the state to be kept lies there.
    """
    rates = Rates.of([RATES] * members)
    pace = Pace(rates, torch.full((members,), 3), tuple(range(members)), "constant", "rowwise_adam", longest=1.0)
    learner = Learner(lambda: Fleet(seeded(build, range(members))), Objective(), pace)
    learner.configure_model()
    learner.to("meta")
    batch = tree_map_only(torch.Tensor, lambda one: one.to("meta"), batch_of(EXAMPLE, members))
    with FakeTensorMode(allow_non_fake_inputs=True):
        adam = learner.configure_optimizers()
        assert isinstance(adam, StackAdam)
        learner.training_step(batch, 0).backward()
        adam.step()
        assert {one.device.type for one in learner.state().values()} == {"meta"}


@pytest.mark.usefixtures("unasked")
def test_one_who_leaves_a_number_behind_is_found() -> None:
    """What the next test rests on."""

    class Careless(DNN):
        def forward(self, features: Features) -> Prediction:
            said = super().forward(features)
            return said._replace(logit=said.logit + torch.ones(1))

    with pytest.raises(RuntimeError, match=r"same device.*meta and cpu"):
        step_there(lambda _: Careless(EXAMPLE, DNN.Config()), 1)


@pytest.mark.usefixtures("unasked")
@pytest.mark.parametrize(
    "ranker", [pytest.param(one, marks=() if one in QUICK else pytest.mark.slow) for one in RANKERS]
)
@pytest.mark.parametrize("members", [1, 2])
def test_every_ranker_trains_where_nothing_of_a_processor_is(ranker: type[Ranker], members: int) -> None:
    """Alone and stacked, by its own code and by that of objective, learner and optimizer."""
    step_there(lambda _: ranker(EXAMPLE, ranker.Config()), members)
