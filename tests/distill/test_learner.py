"""The one LightningModule: devices, precision, compilation, and members that failed before a kill."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from distill import learner as module
from distill.errors import RecipeError
from distill.fleet import Fleet, seeded
from distill.layers import Linear
from distill.learner import LIVE, Learner, Pace, accelerator, train
from distill.objective import Objective
from distill.optimizer import Rates, StackAdam, Tables
from distill.types import Batch, Features, FeatureSchema
from students import DeepFM

HERE = Path(__file__).parent
MEMBERS, ROWS, STEPS = 3, 32, 6
FOUND = torch.accelerator.current_accelerator(check_available=True)
SCHEMA = FeatureSchema(("click",), 1, {"item": 7, "hour": 5}, ("item", "hour"), ("price",))
RATES = {"learning_rate": 1e-2, "weight_decay": 0.0, "beta1": 0.9, "beta2": 0.999, "l2": 0.0}


class Batches:
    """Lightning would take a list for several loaders."""

    def __iter__(self) -> Iterator[Batch]:
        return batches()


def batches() -> Iterator[Batch]:
    generator = torch.Generator().manual_seed(1)
    shape = MEMBERS, ROWS
    for _ in range(STEPS):
        ids = torch.randint(5, (*shape, 2), generator=generator)
        numbers = torch.randn(*shape, 1, generator=generator)
        label = (numbers + ids[..., :1] > 2).float()
        features = Features(torch.zeros(shape, dtype=torch.long), ids, numbers, {}, {})
        yield Batch(features, label, torch.ones_like(label).bool(), torch.ones(shape), {})


def learner(compiled: bool = False, rule: Tables = "rowwise_adam") -> Learner:
    steps = torch.full((MEMBERS,), STEPS)
    pace = Pace(Rates.of([RATES] * MEMBERS), steps, tuple(range(MEMBERS)), "constant", rule)
    build = lambda _: DeepFM(SCHEMA, DeepFM.Config(embedding=4, hidden=(8,)))  # noqa: E731
    return Learner(lambda: Fleet(seeded(build, range(MEMBERS))), Objective(), pace, compiled=compiled)


def learnt(one: Learner, precision: module.Precision = "fp32", device: str = "cpu") -> Tensor:
    """Every weight, after training."""
    train(one, Batches(), [], device, precision)
    assert one.costs.all()
    return torch.cat([weight.detach().flatten().cpu() for weight in one.parameters()])


def test_products_in_bf16_are_nearly_those_in_fp32() -> None:
    exact, near = learner(), learner()
    weights = learnt(exact), learnt(near, "bf16")
    assert not torch.equal(*weights)
    assert all(one.dtype == torch.float32 for one in near.parameters())
    torch.testing.assert_close(near.costs, exact.costs, rtol=2e-3, atol=0)


def test_a_device_that_steps_the_whole_stack_learns_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = learnt(learner())
    monkeypatch.setattr(module, "MemberAdam", StackAdam)
    torch.testing.assert_close(learnt(learner()), expected, rtol=1e-4, atol=1e-5)


class Idle(DeepFM):
    """Has a layer that it does not use."""

    def __init__(self, schema: FeatureSchema, config: DeepFM.Config) -> None:
        super().__init__(schema, config)
        self.idle = Linear(2, 3)


def test_weights_that_nothing_comes_of_are_named() -> None:
    build = lambda _: Idle(SCHEMA, DeepFM.Config(embedding=4, hidden=(8,)))  # noqa: E731
    one = learner()
    one.build = lambda: Fleet(seeded(build, range(MEMBERS)))
    with pytest.raises(RecipeError, match=r"no gradient reaches idle\.weight, idle\.bias\. Take"):
        train(one, Batches(), [])


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a processor")
def test_a_compiled_step_learns_the_same() -> None:
    """In a process of its own, since the compiler can't look through the checks of types that tests run with."""
    subprocess.run([sys.executable, "-c", "import test_learner; test_learner.compare()"], cwd=HERE, check=True)


def compare() -> None:
    torch.testing.assert_close(learnt(learner(compiled=True)), learnt(learner()), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(FOUND is None, reason="steps are recorded and replayed on an accelerator")
@pytest.mark.parametrize("rule", ["adam", "rowwise_adam"])
def test_steps_recorded_and_replayed_are_the_same_steps(rule: str) -> None:
    """In a process of its own, as above."""
    subprocess.run([sys.executable, "-c", f"import test_learner; test_learner.replay('{rule}')"], cwd=HERE, check=True)


def replay(rule: Tables) -> None:
    compiled, plain = (learnt(learner(yes, rule), device=FOUND.type) for yes in (True, False))
    torch.testing.assert_close(compiled, plain, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["adam", "rowwise_adam"])
def test_a_step_on_an_accelerator_is_one_program_for_all_batches(rule: str) -> None:
    """It can be recorded and replayed if Python has no part in it; reads of tables stepped by rows stay outside."""
    command = f"import test_learner; test_learner.count('{rule}')"
    subprocess.run([sys.executable, "-c", command], cwd=HERE, check=True)


def count(rule: Tables) -> None:
    """The optimizer is the one of accelerators, the programs are those of torch.compile but for their machine code."""
    module.MemberAdam = StackAdam
    compiled = torch.compile
    torch.compile = lambda function, mode: compiled(function, backend="aot_eager", fullgraph=rule == "adam")
    found = learnt(learner(compiled=True, rule=rule))
    counters = torch._dynamo.utils.counters
    if rule == "adam":
        assert not counters["graph_break"] and counters["stats"]["unique_graphs"] == 1
    assert all("`_learnt`" in reason for reason in counters["graph_break"])
    torch.testing.assert_close(found, learnt(learner(rule=rule)), rtol=1e-4, atol=1e-5)


def test_a_member_that_failed_before_a_kill_stays_as_it_was() -> None:
    first = learner()
    learnt(first)
    state = {name: tensor.clone() for name, tensor in first.state().items()}
    state[LIVE] = torch.tensor([True, False, True])
    second = learner()
    second.resume(state, 0, {1: 5})
    learnt(second)
    for name, weight in second.named_parameters():
        moved = (weight.detach() != state[name]).flatten(1).any(-1)
        assert moved.tolist() == [True, False, True], name


def test_weights_are_drawn_on_the_processor_wherever_they_go() -> None:
    """Trainers ask for the model under the context of their device; a seed would mean another student on each."""
    one = learner()
    with torch.device("meta"):
        one.configure_model()
    assert {weight.device.type for weight in one.parameters()} == {"cpu"}


def test_a_device_that_is_not_there_is_refused() -> None:
    assert accelerator("cpu") == "cpu"
    with pytest.raises(RecipeError, match=r'trainer.device: "cdua" is no accelerator\..*cuda'):
        accelerator("cdua")
    if not torch.cuda.is_available():
        assert accelerator("auto") == "cpu"
        with pytest.raises(RecipeError, match="has no cuda device"):
            accelerator("cuda")
