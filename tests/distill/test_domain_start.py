"""Students that begin as copies of their domain models: the same function before the first step, another one after."""

from pathlib import Path

import polars as pl
import pytest
import torch
from at_hand import small_log

from distill.data.impressions import TRAIN, load
from distill.errors import RecipeError
from distill.inputs import Inputs
from distill.knowledge import Knowledge
from distill.pipeline import run
from distill.progress import Progress
from distill.recipe import Recipe
from distill.recipe import load as load_recipe
from distill.scoring import knowledge_of
from distill.store import Store
from distill.transfer import course_of, heard_fingerprint, lesson_of

RECIPE = """
name: start
seed: 3
data:
  path: rows.parquet
  vertical: vertical
  domain: domain
  time: time
  user: user_id
  split: {by: column, column: split}
  features: {item_id: categorical, user_id: categorical, hour: categorical, seen: numeric}
teacher:
  model: {class: students.DNN, embedding: 6, hidden: [8]}
  train: {batch: 64, learning_rate: 5.0e-3}
domains:
  train: {batch: 64, learning_rate: 1.0e-2}
students:
  model: {class: students.DNN, embedding: 4, hidden: [8, 6]}
  features: [item_id, hour, seen]
  train: {epochs: 2, batch: 32}
  distill:
    logit: {source: teacher}
    sharing: {source: domain}
evidence: {resamples: 100}
tracking: {uri: null}
workers: 1
"""
FRAME = small_log().with_columns(seen=pl.int_range(pl.len()) % 7)
INPUT = "students.distill.input={features: [user_id]}"


def recipe_of(folder: Path, *overrides: str) -> Recipe:
    FRAME.write_parquet(folder / "rows.parquet")
    (folder / "start.yaml").write_text(RECIPE)
    return load_recipe(folder / "start.yaml", [f"store={folder}/mlruns", *overrides])


def knowledge_of_recipe(recipe: Recipe) -> Knowledge:
    impressions = load(recipe.data, Store(recipe.store).data)
    return knowledge_of(lesson_of(recipe, impressions), Store(recipe.store).knowledge)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("start")


@pytest.mark.parametrize("more", [[], [INPUT]], ids=["alone", "with a vector of the teacher"])
@pytest.mark.parametrize(
    "model",
    [
        "{class: students.DNN, embedding: 4, hidden: [8, 6]}",
        pytest.param("{class: students.DeepFM, embedding: 4, hidden: [8]}", marks=pytest.mark.slow),
        "{class: students.DCNv2, embedding: 4, hidden: [8]}",
        "{class: students.TwoTower, embedding: 4, hidden: [8], item: [item_id]}",
        "{class: students.PEPNet, embedding: 4, hidden: [8], prior: [hour]}",
    ],
    ids=["DNN", "DeepFM", "DCNv2", "tables of two sides", "tables of some features beside those of all"],
)
@torch.no_grad()
def test_a_fresh_student_says_what_its_domain_model_says(folder: Path, model: str, more: list[str]) -> None:
    """On the rows of its own vertical, whatever the two vocabularies, and whatever else the student sees."""
    recipe = recipe_of(folder, f"students.model={model}", *more)
    impressions, knowledge = load(recipe.data, Store(recipe.store).data), knowledge_of_recipe(recipe)
    course = course_of(recipe, impressions, knowledge, Store(recipe.store), lambda rows: None)
    view, wide = course.inputs or course.view, impressions.view(recipe.domains.features, "all")
    wide = Inputs(wide, course.inputs.vectors) if course.inputs else wide
    for vertical in impressions.verticals:
        rows = torch.from_numpy(impressions.select(TRAIN, vertical))
        student = recipe.students.model.build(view.schema(vertical))
        course.tables().start(student, view, vertical)
        parent = recipe.domains.model.build(wide.schema(None))
        parent.load_state_dict(course.tables().models[vertical])
        ours, theirs = student.eval()(view.take(rows).features), parent.eval()(wide.take(rows).features)
        torch.testing.assert_close(ours.logit, theirs.logit, rtol=0, atol=1e-6)


def test_domains_have_models_of_their_own(folder: Path) -> None:
    recipe = recipe_of(folder)
    impressions = load(recipe.data, Store(recipe.store).data)
    course = course_of(recipe, impressions, knowledge_of_recipe(recipe), Store(recipe.store), lambda rows: None)
    heads = {vertical: model["head.weight"].sum().item() for vertical, model in course.tables().models.items()}
    domain = impressions.domains
    for one in heads:
        for other in heads:
            assert (heads[one] == heads[other]) == (domain[one] == domain[other])


def test_a_run_reports_it_and_the_control_knows_nothing_of_it(folder: Path) -> None:
    """A rate of 0 serves the domain model as it is, so students have its NE; controls are those of plain transfer."""
    frozen = run(recipe_of(folder, "students.distill.sharing.rate=0", "domains.clusters=1"), Progress())
    plain = run(recipe_of(folder, "domains=null", "students.distill.sharing=null"), Progress())
    nes = [{one["member"]: one["ne"] for one in table["students"]} for table in (frozen, plain)]
    assert frozen["summary"]["ne_student"] == pytest.approx(frozen["summary"]["ne_domain"], abs=1e-4)  # in 16 bits
    for member in nes[0]:
        assert (nes[0][member] == nes[1][member]) == ("control" in member)


def test_another_domain_model_makes_another_student(folder: Path) -> None:
    names = set()
    for change in ([], ["domains.clusters=1"], ["domains.train.learning_rate=0.02"], ["students.distill.sharing=null"]):
        recipe = recipe_of(folder, *change)
        impressions = load(recipe.data, Store(recipe.store).data)
        names.add(heard_fingerprint(recipe, impressions, "teacher"))
    assert len(names) == 4


def test_domain_models_that_see_the_vector_are_not_heard(folder: Path) -> None:
    """It comes from a teacher that knows later labels."""
    with pytest.raises(RecipeError, match="leak"):
        recipe_of(folder, INPUT, "students.distill.logit.source=domain")


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ("domains=null", "students.distill.sharing.source"),
        ("domains.model={class: students.DNN, embedding: 4, hidden: [5]}", "domains.model"),
        ("domains.features=[item_id]", "domains.features"),
    ],
)
def test_a_domain_model_that_cannot_be_copied_is_refused(folder: Path, change: str, where: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe_of(folder, change)
    assert where in str(caught.value)
