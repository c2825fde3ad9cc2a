"""What only an accelerator can show: that what is trained there is what a processor trains, up to rounding."""

from pathlib import Path

import numpy as np
import pytest
import torch
from test_devices import EXAMPLE, RANKERS, RATES, batch_of
from torch.utils._pytree import tree_map_only

from distill.fleet import Fleet, seeded
from distill.learner import Learner, Pace
from distill.objective import Objective
from distill.optimizer import Rates, StackAdam
from distill.pipeline import run
from distill.progress import Progress
from distill.ranker import Ranker
from distill.recipe import load
from distill.store import Store
from distill.types import Batch

FOUND = torch.accelerator.current_accelerator(check_available=True)
if FOUND is None:
    pytest.skip("this machine has no accelerator", allow_module_level=True)
STEPS = 3

WORLD = """
name: there
store: {folder}
tracking: {{uri: null}}
data:
  world: {{verticals: 4, domains: 2, users: 80, items: 40, rows: 4000, days: 6}}
  time: time
  user: user_id
  split: {{by: column, column: split}}
  features:
    item_id: {{kind: categorical, hide: 0.1}}
    hour: categorical
    user_activity: numeric
    clicked: {{kind: sequence, columns: {{hist_items: item_id}}, newest: first, length: 5}}
teacher:
  model: {{class: teachers.AttentiveCross, embedding: 4, hidden: [8], heads: 1}}
  train: {{batch: 64, learning_rate: 5.0e-3}}
domains: {{clusters: 1}}
students:
  model: {{class: students.DNN, embedding: 4, hidden: [8]}}
  features: [item_id, hour, user_activity]
  train: {{epochs: 2, batch: 32}}
  distill:
    logit: {{weight: 0.5, head: auxiliary, source: teacher}}
    sharing: {{source: domain}}
    representation: {{weight: 0.1, loss: cosine}}
    input: {{features: [hour, clicked]}}
trainer: {{device: {device}}}
"""


class OnStack(Learner):
    """Steps the whole stack at once, as on an accelerator, wherever it is."""

    kind = StackAdam


def moved(batch: Batch, device: str) -> Batch:
    return tree_map_only(torch.Tensor, lambda one: one.to(device), batch)


def stepped(ranker: type[Ranker], members: int, device: str) -> dict[str, torch.Tensor]:
    """Every weight after a few steps; rows of tables are stepped where they were read."""
    pace = Pace(Rates.of([RATES] * members), torch.full((members,), 9), tuple(range(members)), "constant", "adam")
    build = lambda _: ranker(EXAMPLE, ranker.Config())  # noqa: E731
    learner = OnStack(lambda: Fleet(seeded(build, range(members))), Objective(), pace)
    learner.configure_model()
    learner.to(device)
    adam = learner.configure_optimizers()
    torch.manual_seed(0)
    for step, batch in enumerate([batch_of(EXAMPLE, members) for _ in range(STEPS)]):
        adam.zero_grad()
        learner.training_step(moved(batch, device), step).backward()
        adam.step()
    return {name: weight.detach().cpu() for name, weight in learner.named_parameters()}


@pytest.mark.parametrize("ranker", RANKERS)
@pytest.mark.parametrize("members", [1, 3])
def test_a_ranker_learns_there_what_it_learns_here(ranker: type[Ranker], members: int) -> None:
    """Alone and stacked. Adam makes much of a gradient that is rounding and nothing else, hence few such weights."""
    here, there = stepped(ranker, members, "cpu"), stepped(ranker, members, FOUND.type)
    far = sum(int((~torch.isclose(there[name], weight, 1e-3, 1e-4)).sum()) for name, weight in here.items())
    assert far <= 0.005 * sum(weight.numel() for weight in here.values())


def test_a_run_there_ends_as_one_here(tmp_path: Path) -> None:
    """Teacher, knowledge, domain models, copies, vectors and heads: the teacher says the same, students do as well."""
    found = []
    for device in ("cpu", FOUND.type):
        path = tmp_path / f"{device}.yaml"
        path.write_text(WORLD.format(folder=tmp_path / device, device=device))
        recipe = load(path)
        table = run(recipe, Progress())
        marks = {path.parent.name: np.load(path) for path in Store(recipe.store).knowledge.folder.glob("*/logit.npy")}
        found.append((marks, table["students"]))
    (said, here), (also_said, there) = found
    assert said.keys() == also_said.keys()
    for name, marks in said.items():
        np.testing.assert_allclose(marks, also_said[name], rtol=0, atol=0.02)
    for one, other in zip(here, there, strict=True):
        assert (one["vertical"], one["arm"]) == (other["vertical"], other["arm"])
        assert other["ne"] == pytest.approx(one["ne"], abs=2e-3)
