"""Differences of low rank: nothing at first, small in the end, served as ordinary weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from distill.cohort import find
from distill.data.impressions import TRAIN, load
from distill.errors import RecipeError
from distill.fleet import Fleet, seeded
from distill.layers import FieldEmbedding, Linear
from distill.low_rank import LowRank, lowered, merged
from distill.pipeline import run
from distill.progress import Progress
from distill.ranker import Ranker, resolve
from distill.store import Store
from distill.training import train_students
from distill.transfer import course_of, members_of
from tests.distill.conftest import Taught
from tests.distill.test_domain_start import knowledge_of_recipe, recipe_of

CLASSES = ["students.DNN", "students.DCNv2", "students.DeepFM", "students.MaskNet"]
RANK = ("students.distill.sharing.rank=2", "students.train.epochs=1")


def ranker(taught: Taught, path: str) -> Ranker:
    return resolve(path)(taught.lesson.view.schema(None), resolve(path).Config())


@pytest.mark.parametrize("path", CLASSES)
def test_a_layer_begins_as_it_was_and_is_served_as_it_became(taught: Taught, path: str) -> None:
    """In between only differences and biases have a gradient, and they run on a stack as any other."""
    torch.manual_seed(0)
    plain, features = ranker(taught, path).eval(), taught.lesson.view.take(torch.arange(12)).features
    said, names = plain(features).logit.detach(), set(plain.state_dict())
    lowered(plain, 2)
    torch.testing.assert_close(plain(features).logit, said)
    learns = {name for name, _ in plain.named_parameters()}
    assert learns == {name for name in learns if name.rpartition(".")[2] in ("up", "down", "bias")}
    with torch.no_grad():
        for one in plain.parameters():
            one.add_(torch.randn_like(one) * 0.1)
    changed = plain(features)
    assert not torch.allclose(changed.logit, said, atol=1e-3)
    again = ranker(taught, path).eval()
    state = merged(plain.state_dict())
    assert set(state) == names
    again.load_state_dict(state)
    torch.testing.assert_close(again(features).logit, changed.logit)


def test_a_ranker_without_such_layers_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"Sequential has no Linear of distill\.layers"):
        lowered(nn.Sequential(nn.Linear(2, 2)), 1)


def test_a_rank_that_no_layer_has_is_refused() -> None:
    """The largest that one can have is not."""
    lowered(nn.Sequential(Linear(9, 4), Linear(4, 2)), 4)
    with pytest.raises(RecipeError, match=r"5 is more than any difference of Sequential can have, .* allows 4"):
        lowered(nn.Sequential(Linear(9, 4), Linear(4, 2)), 5)


def test_a_stack_runs_them_at_once(taught: Taught) -> None:
    """Called as a whole, not mapped; with the gradients of each alone."""

    def make(_: int) -> Ranker:
        one = ranker(taught, "students.DNN")
        lowered(one, 2)
        nn.init.normal_(one.head.up)
        return one

    fleet, alone = (Fleet(seeded(make, (1, 2, 3))) for _ in range(2))
    features = taught.lesson.view.take(torch.arange(24).view(3, 8)).features
    assert fleet.direct(features)
    fleet(features).logit.square().sum().backward()
    alone.batched = False
    alone(features).logit.square().sum().backward()
    for ours, theirs in zip(fleet.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("low-rank")


def test_students_of_a_run_differ_from_their_domain_model_by_so_much(folder: Path) -> None:
    """Embeddings by nothing, matrices by rank 2; controls stand in stacks of their own."""
    recipe = recipe_of(folder, *RANK)
    table = run(recipe, Progress())
    assert all(row["status"] == "ok" for row in table["students"])
    impressions, knowledge = load(recipe.data, Store(recipe.store).data), knowledge_of_recipe(recipe)
    course = course_of(recipe, impressions, knowledge, Store(recipe.store), lambda rows: None)
    told = [
        (one, place, member) for one in find(Store(recipe.store).cohorts) for place, member in enumerate(one.members)
    ]
    assert {len({member.arm for member in one.members}) for one, _, _ in told} == {1}
    for cohort, place, member in told:
        if member.arm == "control":
            continue
        start = recipe.students.model.build(course.view.schema(member.vertical))
        course.tables().start(start, course.view, member.vertical)
        seen = {name: tensor.detach() for name, tensor in start.state_dict().items()}
        ends = cohort.weights(place)
        assert ends.keys() == seen.keys()
        tables = [f"{name}.weight" for name, one in start.named_modules() if isinstance(one, FieldEmbedding)]
        rows = torch.from_numpy(impressions.select(TRAIN, member.vertical))
        known = course.view.take(rows).features.categorical[:, 0].unique()
        assert all(torch.equal(ends[name][known], seen[name][known]) for name in tables)
        differences = [ends[name] - seen[name] for name in ends if name.endswith("layers.0.weight")]
        assert [np.linalg.matrix_rank(one.numpy(), tol=1e-6) for one in differences] == [2]


def test_a_student_in_a_fleet_is_the_same_student_alone(folder: Path, tmp_path: Path) -> None:
    recipe = recipe_of(folder, *RANK)
    store = Store(recipe.store)
    impressions, knowledge = load(recipe.data, store.data), knowledge_of_recipe(recipe)
    course = course_of(recipe, impressions, knowledge, store, lambda rows: None)
    members = members_of(recipe, impressions, knowledge.manifest.fingerprint, store.knowledge)
    taught = [one for one in members if one.arm == "distilled"]
    together = train_students(taught, course, tmp_path / "all", tmp_path / "stopping")
    (alone,) = train_students(taught[:1], course, tmp_path / "one", tmp_path / "stopping")
    np.testing.assert_allclose(alone.logit, together[0].logit, atol=1e-4)


def test_who_has_no_domain_model_is_named(folder: Path) -> None:
    recipe = recipe_of(folder, *RANK)
    store = Store(recipe.store)
    impressions, knowledge = load(recipe.data, store.data), knowledge_of_recipe(recipe)
    course = course_of(recipe, impressions, knowledge, store, lambda rows: None)
    some = members_of(recipe, impressions, knowledge.manifest.fingerprint, store.knowledge)[0]
    del course.tables().models[some.vertical]
    with pytest.raises(RecipeError, match=f"{some.vertical} has no domain model from which it could differ"):
        course.fresh(some)


def test_a_layer_without_a_bias_has_none() -> None:
    layer = LowRank(Linear(3, 2, bias=False), 1)
    assert {name for name, _ in layer.named_parameters()} == {"up", "down"} and "bias" not in layer.state_dict()
