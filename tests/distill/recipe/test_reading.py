"""YAML as data only."""

# ruff: noqa: E501 -- a case a line

from collections.abc import Callable
from pathlib import Path

import pytest

from distill.errors import RecipeError
from distill.recipe import load
from distill.recipe.reading import read
from distill.recipe.tree import Report, Source

Faults = Callable[..., list[str]]
HERE = Source(0, "here.yaml", Path())


def values(text: str) -> object:
    report = Report()
    tree = read(text, HERE, report)
    report.settle()
    return tree.plain()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("60_000", 60_000),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("~", None),
        ("2017-10-14", "2017-10-14"),
        ("2017-10-14 10:00:00", "2017-10-14 10:00:00"),
        ("1:30", "1:30"),
        ("!!str 12", "12"),
        ("{yes: 1, 2: b}", {"yes": 1, "2": "b"}),
        ("[a, {b: [c]}]", ["a", {"b": ["c"]}]),
    ],
)
def test_values_are_those_of_yaml_1_2(text: str, value: object) -> None:
    assert values(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !!python/object/apply:os.system [ls]", 'here.yaml:1:1: a: the tag "tag:yaml.org,2002:python/object/apply:os.system" is refused: a recipe is data only. Remove it.'),
        ("a: 1\na: 2", "here.yaml:2:1: a: this key is already given in line 1. Keep one."),
        ("a:\n  b: 1\n  c: 2\n  b: 3", "here.yaml:4:3: a.b: this key is already given in line 2. Keep one."),
        ("a: &x 1\nb: *x", "here.yaml:2:1: b: recipes have no anchors and aliases (& and *). Write it out."),
        ("a: &x [*x]", "here.yaml:1:4: a.0: recipes have no anchors and aliases (& and *). Write it out."),
        ("[a]: 1", "here.yaml:1:1: a key must be a plain name."),
        ("a: !!int x", 'here.yaml:1:1: a: cannot read "x" as int.'),
        ("a: 1\n\tb: 2", "here.yaml:2:1: this is not YAML: while scanning for the next token, found character '\\t' that cannot start any token. Indent with spaces."),
        ("a: b: c", 'here.yaml:1:5: this is not YAML: mapping values are not allowed here. Put text with ": " or " #" in it in quotes.'),
    ],
)  # fmt: skip
def test_what_is_not_data_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        values(text)
    assert [str(fault) for fault in caught.value.faults] == [message]


def test_all_faults_of_reading_come_with_those_of_checking(faults: Faults) -> None:
    found = faults({"name: sample": "name: sample\nname: other\nseed: !secret 3", "epochs: 3": "epoch: 3"})
    assert [message.split(": ")[1] for message in found] == ["name", "seed", "students.train.epoch"]


@pytest.mark.parametrize("text", ["", "# nothing", "- a\n- b", "recipe"])
def test_a_recipe_is_a_map(write: Callable[..., Path], text: str) -> None:
    with pytest.raises(RecipeError, match="a recipe is a map of keys and values; this is none") as caught:
        load(write(text))
    assert len(caught.value.faults) == 1


def test_a_file_that_is_not_text(write: Callable[..., Path]) -> None:
    path = write("")
    path.write_bytes(b"name: \xff\xfe")
    with pytest.raises(RecipeError, match=r"recipe\.yaml: this is not UTF-8 text"):
        load(path)


def test_a_recipe_that_is_not_there(write: Callable[..., Path]) -> None:
    write("", "quickstart.yaml")
    with pytest.raises(RecipeError) as caught:
        load(Path("quikstart.yaml"))
    assert str(caught.value) == 'quikstart.yaml: there is no such file. Did you mean "quickstart.yaml"?'
    with pytest.raises(
        RecipeError, match=r"no such file\. The package has some: distill recipes ls, distill recipes cp NAME"
    ):
        load(Path("elsewhere/quickstart.yaml"))


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(RecipeError, match="nested too deeply"):
        values("[" * 700)
