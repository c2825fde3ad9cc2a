"""A recipe as text, and the schema for editors."""

# ruff: noqa: E501 -- a case a line

import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from distill.data.settings import Numeric
from distill.recipe import Recipe, load, schema, show
from distill.recipe.loading import complete
from tests.distill.recipe.conftest import SAMPLE
from tests.distill.recipe.json_schema import is_valid

Loads = Callable[..., Recipe]

names = st.text(
    sorted({*string.ascii_letters, *string.digits, *string.punctuation, *" ö÷日😀"} - {"."}), min_size=1, max_size=12
)
sizes = st.integers(1, 10**12)
positive = st.floats(1e-300, 1e300)
features = st.one_of(
    st.fixed_dictionaries({"kind": st.just("categorical")}, optional={"hash": st.integers(2, 10**9)}),
    st.fixed_dictionaries({"kind": st.just("categorical")}, optional={"hide": st.floats(0, 0.99)}),
    st.fixed_dictionaries({"kind": st.just("numeric")}, optional={"transform": st.lists(st.sampled_from(["log1p", "standardise"]))}),
    st.fixed_dictionaries({"kind": st.just("vector"), "width": sizes}),
    st.fixed_dictionaries(
        {"kind": st.just("sequence"), "columns": st.dictionaries(names, st.none(), min_size=1), "newest": st.just("last")}
    ),
)  # fmt: skip
recipes = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,8}", fullmatch=True),
        "data": st.fixed_dictionaries(
            {
                "world": st.fixed_dictionaries({"drift": st.floats(0, 1e9), "seed": sizes}),
                "split": st.fixed_dictionaries({"by": st.just("hash"), "column": names}),
                "features": st.dictionaries(names, features, min_size=1, max_size=4),
                "label": st.just("the label of the sample"),
                "time": names,
            },
            optional={"user": names, "domain": names},
        ),
        "teacher": st.fixed_dictionaries({"model": st.just({"class": "toys.Tower"})}),
        "students": st.fixed_dictionaries(
            {
                "model": st.fixed_dictionaries({"class": st.just("toys.Line")}, optional={"bias": st.booleans()}),
                "train": st.fixed_dictionaries({"learning_rate": positive}),
            }
        ),
    },
    optional={"tracking": st.fixed_dictionaries({"experiment": names}), "seed": sizes},
)


@settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(values=recipes)
def test_what_is_shown_loads_back_to_an_equal_recipe(tmp_path: Path, values: dict[str, Any]) -> None:
    given, shown = tmp_path / "given.yaml", tmp_path / "elsewhere" / "shown.yaml"
    shown.parent.mkdir(exist_ok=True)
    write_yaml(values, given)
    recipe = load(given)
    shown.write_text(show(recipe), encoding="utf-8")
    assert load(shown) == recipe
    assert show(load(shown)) == show(recipe)


def write_yaml(values: dict[str, Any], path: Path) -> None:
    """In blocks: between braces, ruamel writes some texts that it cannot read, such as "?x"."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.dump(values, path)


@pytest.mark.parametrize("tables", ["start", "frozen", "pulled"])
def test_shared_tables_are_shown_as_they_load(sample: Loads, tmp_path: Path, tables: str) -> None:
    """With a rate and a pull that nobody gave."""
    recipe, shown = sample(None, f"students.distill.sharing.tables={tables}"), tmp_path / "shown.yaml"
    shown.write_text(show(recipe), encoding="utf-8")
    assert load(shown).students == recipe.students


def test_text_that_looks_like_something_else_stays_text(sample: Loads, tmp_path: Path) -> None:
    for word in (
        "no",
        "1e-3",
        "2017-10-14",
        "null",
        "~",
        "",
        " a",
        "a: b",
        "#c",
        "ö",
        "?x",
        ":ö",
        "12",
        "0x1F",
        "- a",
        "'",
        '"',
        "!x",
    ):
        recipe = sample(None, "data.user=1e-3x")
        data = recipe.data.model_copy(update={"user": word, "features": {word: Numeric()}})
        students = recipe.students.model_copy(update={"features": (word,)})
        teacher = recipe.teacher.model_copy(update={"features": (word,)})
        odd = recipe.model_copy(update={"data": data, "students": students, "teacher": teacher})
        (tmp_path / "odd.yaml").write_text(show(odd), encoding="utf-8")
        assert load(tmp_path / "odd.yaml") == odd


def test_every_default_is_there(sample: Loads) -> None:
    recipe = sample()
    text = show(recipe)
    assert "score:\n    kind: time_ahead\n" in text
    assert "    class: toys.Tower\n    width: 8\n    layers: [4, 2]\n" in text
    assert "domain: null\n" in text
    assert set(complete(recipe)["students"]) == set(type(recipe.students).model_fields)


def test_a_recipe_made_in_python_is_shown_whole(sample: Loads) -> None:
    bare = sample().model_copy(update={"students": sample().students.model_copy(update={"model": _bare("toys.Tower")})})
    assert "    class: toys.Tower\n    width: 8\n" in show(bare)


def _bare(path: str) -> object:
    from distill.recipe.sections import Model

    return Model(path=path)


def fits(text: str) -> bool:
    whole = schema()
    return is_valid(YAML(typ="safe", pure=True).load(text), whole, whole)


def test_the_schema_takes_what_loads() -> None:
    assert fits(SAMPLE)
    assert fits("extends: other.yaml\nstudents: {train: {epochs: 3}}\ndata: {features: {age: {missing: mean}}}")


def test_the_schema_takes_what_is_shown(sample: Loads) -> None:
    assert fits(show(sample()))
    assert fits(show(sample(None, "data.row_id=id", "teacher.knowledge=k.parquet")))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("epochs: 3", "epoch: 3"),
        ("epochs: 3", "epochs: 0"),
        ("epochs: 3", "epochs: three"),
        ("name: sample\n", ""),
        ("age: numeric", "age: numerc"),
        ("age: numeric", "age: vector"),
        ("toys.Line", "toys.Lien"),
        ("{class: toys.Line}", "{class: toys.Line, width: 3}"),
        ("{class: toys.Line}", "{class: toys.Strict}"),
        ("newest: first", "newest: frist"),
        ("by: column", "by: colum"),
        ("name: sample", "extends: other.yaml\nnmae: sample"),
    ],
)
def test_the_schema_refuses_what_does_not_load(old: str, new: str) -> None:
    assert not fits(SAMPLE.replace(old, new))
