"""Several teachers in a recipe: what cannot be meant is refused, and what is left out is filled in."""

# ruff: noqa: E501 -- a case a line

from collections.abc import Callable
from pathlib import Path

import pytest

from distill.recipe import Recipe, show
from distill.recipe import load as load_recipe

Loads = Callable[..., Recipe]
Faults = Callable[..., list[str]]

OTHER = "teachers.other={model: {class: toys.Tower}}"
LOGIT = "students.distill.logit"
DOMAINS = ["data.domain=domain", "domains={model: {class: toys.Line}}"]
MORE = "Ask for teacher.seeds: 3, name more under teachers, or leave it out."

BROKEN = [
    ([f"{LOGIT}.certainty=0.5"], f"one ranker's log-odds have no spread. {MORE}"),
    ([f"{LOGIT}.combine.recent={{}}"], f"weighs several teachers, and there is one. {MORE}"),
    ([f"{LOGIT}.combine.gate=true"], f"chooses between several teachers, and there is one. {MORE}"),
    ([OTHER, f"{LOGIT}.combine.weights={{othr: 2}}"], 'weights.othr: there is no teacher "othr". Did you mean "other"?'),
    ([OTHER, f"{LOGIT}.combine.weights={{other: -2}}"], "weights.other: a weight is at least 0, not -2. Leave a teacher out with 0."),
    ([OTHER, f"{LOGIT}.combine.weights={{other: 0, teacher: 0}}"], "no teacher has any weight. Give one of them more than 0."),
    ([OTHER, f"{LOGIT}.combine.recent={{}}", "data.time="], "needs data.time: without it no row is earlier than another. Name the column of times, or leave it out."),
    ([OTHER, f"{LOGIT}.certainty=0"], "expected a number above 0, not 0."),
    ([OTHER, *DOMAINS], "teachers: nobody hears the others: domain models learn from the first teacher, and students from these. Say students.distill.logit.source: both, or teacher."),
    (["teacher.seeds=2", *DOMAINS], "nobody hears the others: domain models learn from the first teacher, and students from these. Say students.distill.logit.source: both, or teacher."),
    ([OTHER.replace("other", "domain")], '"domain" means the models of domains. Take another name.'),
    ([OTHER.replace("other", "teacher")], '"teacher" means the first teacher. Take another name.'),
    ([OTHER.replace("other", "a/b")], '"a/b" is no name: letters, digits, dash, underscore. Take another one.'),
    ([OTHER, "teachers.other.train.epochs=2"], "time_ahead makes one pass in time order, not 2. Set 1, or score by cross_fit."),
    ([OTHER, "teachers.other.features=[agee]"], 'teachers.other.features.0: there is no feature "agee". Did you mean "age"?'),
    ([OTHER, "teachers.other.model.class=toys.Towr"], '"toys.Towr" does not exist. Did you mean "toys.Tower"?'),
    (["teachers.far.knowledge=scores.parquet"], "a teacher from outside needs data.row_id, by which its scores find their rows. Name the column."),
]  # fmt: skip


@pytest.mark.parametrize(("overrides", "message"), BROKEN)
def test_what_cannot_be_meant_is_one_message(faults: Faults, overrides: list[str], message: str) -> None:
    [found] = faults(None, *overrides)
    assert found.endswith(message)


@pytest.mark.parametrize(
    "overrides",
    [
        ["teacher.seeds=3", f"{LOGIT}.certainty=0.5", f"{LOGIT}.combine={{recent: {{by: vertical}}, gate: true}}"],
        [OTHER, f"{LOGIT}.combine.weights={{teacher: 0}}"],
        [OTHER, *DOMAINS, f"{LOGIT}.source=both", f"{LOGIT}.combine.weights={{domain: 2, other: 0.5}}"],
        [*DOMAINS, f"{LOGIT}.source=both", f"{LOGIT}.certainty=1"],
    ],
)
def test_sound_recipes_pass(sample: Loads, overrides: list[str]) -> None:
    sample(None, *overrides)


def test_what_is_left_out_of_a_teacher_is_filled_in(sample: Loads, tmp_path: Path) -> None:
    """How it scores, its ranker's settings, whole paths; and what is shown loads as the same recipe."""
    recipe = sample(None, OTHER, "data.time=", "data.row_id=id", "teachers.far.knowledge=far.parquet")
    assert recipe.teachers["other"].score.kind == "cross_fit"
    assert recipe.teachers["other"].model.shape["width"] == 8
    assert recipe.teachers["far"].knowledge.name == "far.parquet" and recipe.teachers["far"].knowledge.is_absolute()
    (tmp_path / "shown.yaml").write_text(show(recipe))
    assert load_recipe(tmp_path / "shown.yaml") == recipe
