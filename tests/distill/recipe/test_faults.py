"""Every kind of mistake: one message, at its place, with what was expected and the nearest valid name."""

# ruff: noqa: E501 -- a case a line

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from distill.errors import RecipeError
from distill.recipe import load
from distill.recipe.faults import shown

Faults = Callable[..., list[str]]

ONE_MISTAKE = [
    # changes of the sample, overrides, the one message
    ({"  train: {epochs: 3}": "  train:\n    epoch: 3"}, 'recipe.yaml:17:5: students.train.epoch: unknown key. Did you mean "epochs"?'),
    ({"name: sample": "nmae: sample"}, 'recipe.yaml:1:1: nmae: unknown key. Did you mean "name"?'),
    ({"name: sample\n": ""}, 'recipe.yaml:1:1: "name" is missing. Add it: short name: letters, digits, dot, dash, underscore.'),
    ({"name: sample": "name: a b"}, 'recipe.yaml:1:1: name: "a b" does not fit. Short name: letters, digits, dot, dash, underscore.'),
    ({"epochs: 3": "epochs: three"}, 'recipe.yaml:16:11: students.train.epochs: expected a whole number, not "three".'),
    ({"epochs: 3": 'epochs: "3"'}, 'recipe.yaml:16:11: students.train.epochs: expected a whole number, not "3". Remove the quotes.'),
    ({"epochs: 3": "epochs: true"}, "recipe.yaml:16:11: students.train.epochs: expected a whole number, not true."),
    ({"epochs: 3": "epochs: 2.5"}, "recipe.yaml:16:11: students.train.epochs: expected a whole number, not 2.5."),
    ({"epochs: 3": "epochs: 0"}, "recipe.yaml:16:11: students.train.epochs: expected a number of at least 1, not 0."),
    ({"epochs: 3": "learning_rate: .inf"}, "recipe.yaml:16:11: students.train.learning_rate: expected a finite number, not Infinity."),
    ({"epochs: 3": "schedule: linaer"}, 'recipe.yaml:16:11: students.train.schedule: expected "linear", "constant" or "plateau", not "linaer". Did you mean "linear"?'),
    ({"epochs: 3": "schedule: cosine"}, 'recipe.yaml:16:11: students.train.schedule: expected "linear", "constant" or "plateau", not "cosine".'),
    ({"  train: {epochs: 3}": "  train: 3"}, "recipe.yaml:16:3: students.train: expected keys and values, not 3."),
    ({"  train: {epochs: 3}": "  train:"}, "recipe.yaml:16:3: students.train: expected keys and values, not nothing."),
    ({"  train: {epochs: 3}": "  epochs: 3"}, 'recipe.yaml:16:3: students.epochs: unknown key. Did you mean "students.train.epochs"?'),
    ({"  train: {epochs: 3}": "  features: age"}, 'recipe.yaml:16:3: students.features: expected a list, not "age".'),
    ({"  train: {epochs: 3}": "  features: []"}, "recipe.yaml:16:3: students.features: names no feature. Name some, or leave the key out to take all."),
    ({"age: numeric": "age: numerc"}, 'recipe.yaml:8:5: data.features.age: "numerc" is none of categorical, numeric, bucketised, cross, multi_valued, sequence, vector. Did you mean "numeric"?'),
    ({"age: numeric": "age: {kind: numerc}"}, 'recipe.yaml:8:11: data.features.age.kind: "numerc" is none of categorical, numeric, bucketised, cross, multi_valued, sequence, vector. Did you mean "numeric"?'),
    ({"age: numeric": "age: {knid: numeric}"}, 'recipe.yaml:8:11: data.features.age.knid: unknown key. Did you mean "kind"?'),
    ({"age: numeric": "age: {column: a}"}, 'recipe.yaml:8:5: data.features.age: "kind" is missing. Add it: one of categorical, numeric, bucketised, cross, multi_valued, sequence, vector.'),
    ({"age: numeric": "age: {kind: numeric, hash: 9}"}, 'recipe.yaml:8:26: data.features.age.hash: does not go with "kind: numeric". It belongs to "kind: categorical or cross".'),
    ({"columns: {": "column: {"}, 'recipe.yaml:11:31: data.features.history.column: unknown key. Did you mean "columns"?'),
    ({"age: numeric": "age: 3"}, "recipe.yaml:8:5: data.features.age: expected keys and values, not 3."),
    ({", newest: first": ""}, 'recipe.yaml:11:5: data.features.history: "newest" is missing. Add it: at which end the newest event stands, for all columns.'),
    ({"by: column,": "yb: column,"}, 'recipe.yaml:4:11: data.split.yb: unknown key. Did you mean "by"?'),
    ({"by: column,": "by: colunm,"}, 'recipe.yaml:4:11: data.split.by: "colunm" is none of column, time, hash. Did you mean "column"?'),
    ({"by: column,": "by: xyz,"}, 'recipe.yaml:4:11: data.split.by: "xyz" is none of column, time, hash.'),
    ({"  user: user_id": "  label: 3"}, "recipe.yaml:5:3: data.label: expected text or keys and values, not 3. Put it in quotes if it is a name."),
    ({"  user: user_id": "  label: {click: 3}"}, "recipe.yaml:5:11: data.label.click: expected text, not 3. Put it in quotes if it is a name."),
    ({"  user: user_id": "  label: {}"}, "recipe.yaml:5:3: data.label: names no task. Give a column, or task: column."),
    ({"toys.Line": "toys.Lien"}, 'recipe.yaml:15:11: students.model.class: "toys.Lien" does not exist. Did you mean "toys.Line"?'),
    ({"toys.Line": "Line"}, 'recipe.yaml:15:11: students.model.class: "Line" is not in a package that a recipe may name. Did you mean "toys.Line"?'),
    ({"toys.Line": "os.system"}, 'recipe.yaml:15:11: students.model.class: "os.system" is not in a package that a recipe may name. Valid: toys.Line, toys.Strict, toys.Tower.'),
    ({"{class: toys.Line}": "{clas: toys.Line}"}, 'recipe.yaml:15:11: students.model.clas: unknown key. Did you mean "class"?'),
    ({"{class: toys.Line}": "{path: toys.Line}"}, 'recipe.yaml:15:3: students.model: "class" is missing. Add it: class path, such as `students.DCNv2`.'),
    ({"{class: toys.Line}": "{class: toys.Line, path: x}"}, 'recipe.yaml:15:29: students.model.path: unknown key. Did you mean "data.path"?'),
    ({"{class: toys.Line}": "{bias: true}"}, 'recipe.yaml:15:3: students.model: "class" is missing. Add it: class path, such as `students.DCNv2`.'),
    ({"{class: toys.Line}": "{class: toys.Line, bais: true}"}, 'recipe.yaml:15:29: students.model.bais: unknown key. Did you mean "bias"?'),
    ({"{class: toys.Line}": "{class: toys.Line, bias: 3}"}, "recipe.yaml:15:29: students.model.bias: expected true or false, not 3."),
    ({"{class: toys.Line}": "{class: toys.Tower, layers: [4, no]}"}, 'recipe.yaml:15:42: students.model.layers.1: expected a whole number, not "no".'),
    ({"{class: toys.Line}": "{class: toys.Strict}"}, 'recipe.yaml:15:3: students.model: "width" is missing. Add it: how wide it is.'),
    ({"students:": "studnets:"}, 'recipe.yaml:14:1: studnets: unknown key. Did you mean "students"?'),
    ({"{class: toys.Tower}": "{class: toys.Tower}\n  knowledge: logits.parquet", "  time:": "  row_id: id\n  time:"}, 'recipe.yaml:14:3: teacher.model: does not go with "knowledge". Keep one of the two.'),
    ({"  model: {class: toys.Tower}": "  knowlegde: logits.parquet", "  time:": "  row_id: id\n  time:"}, 'recipe.yaml:14:3: teacher.knowlegde: unknown key. Did you mean "knowledge"?'),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), ONE_MISTAKE)
def test_one_mistake_is_one_message(faults: Faults, changes: dict[str, str], message: str) -> None:
    assert faults(changes) == [message]


def test_a_class_is_looked_for_in_its_own_package_first(faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("students", "teachers"):
        monkeypatch.setattr(sys.modules[package], "__all__", ["Line"])
        monkeypatch.setattr(sys.modules[package], "Line", sys.modules["toys"].Line, raising=False)
    [message] = faults({"toys.Line": "students.Lien"})
    assert message.endswith('Did you mean "students.Line"?')
    [message] = faults({"toys.Line": "teachers.line"})
    assert message.endswith('Did you mean "teachers.Line"?')


OVERRIDES = [
    ("students.trian.epochs=3", 'override "students.trian.epochs=3": students.trian: unknown key. Did you mean "train"?'),
    ("students.train.epoch=3", 'override "students.train.epoch=3": unknown key. Did you mean "epochs"?'),
    ("students.train.epochs=0", 'override "students.train.epochs=0": expected a number of at least 1, not 0.'),
    ("students.train={epochs: 0}", 'override "students.train={epochs: 0}": students.train.epochs: expected a number of at least 1, not 0.'),
    ("epochs", 'override "epochs": expected key=value, such as "students.train.epochs=3".'),
    ("=3", 'override "=3": expected key=value, such as "students.train.epochs=3".'),
    ("seed=[3", "override \"seed=[3\": this is not YAML: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'."),
    ("seed=!!python/object/apply:os.system [ls]", 'override "seed=!!python/object/apply:os.system [ls]": the tag "tag:yaml.org,2002:python/object/apply:os.system" is refused: a recipe is data only. Remove it.'),
    ("extends=other.yaml", 'override "extends=other.yaml": stands in a file, not in an override.'),
]  # fmt: skip


@pytest.mark.parametrize(("override", "message"), OVERRIDES)
def test_an_override_is_named_as_the_place(faults: Faults, override: str, message: str) -> None:
    assert faults(None, override) == [message]


TWENTY = """\
nmae: twenty
seed: -1
data:
  paht: rows.parquet
  label: {click: 3}
  split: {by: colunm, column: split}
  time: timestamp
  features:
    age: numerc
    city: {kind: categorical, min_count: 0, hide: 2}
    tags: {kind: multi_valued, shares: ctiy, pool: max}
    history: {kind: sequence, columns: {seen: age}, newest: frist}
    split: categorical
    text: vector
teacher:
  model: {class: toys.Towr, widht: 3, layers: 4}
  train: {epochs: 3}
stundets:
  model: {class: toys.Line}
  features: [age, cyti]
  distill: {logit: {weight: 2, loss: softmax}}
"""


def test_twenty_mistakes_are_twenty_messages_in_the_order_of_the_file(write: Callable[..., Path]) -> None:
    with pytest.raises(RecipeError) as caught:
        load(write(TWENTY))
    places = [str(fault).split(": ")[0].split(":", 1)[1] for fault in caught.value.faults]
    assert places == [
        *("1:1", "2:1", "4:3", "5:11", "6:11"),  # nmae, seed, paht, click, by
        *("9:5", "10:31", "10:45", "11:32", "11:46"),  # age, min_count, hide, shares, pool
        *("12:41", "12:53", "13:5", "14:5"),  # seen, newest, split, text
        *("16:11", "16:29", "16:39", "17:11"),  # class, widht, layers, epochs
        *("18:1", "20:19", "21:21", "21:32"),  # stundets, cyti, weight, loss
    ]


def test_what_follows_from_a_mistake_is_no_mistake_of_its_own(faults: Faults) -> None:
    """The city is gone, so nothing that shares it can be judged; nor can what depends on a wrong time."""
    assert len(faults({"city: categorical": "city: 3"})) == 1
    assert len(faults({"time: timestamp": "time: 3"})) == 1
    assert len(faults({"toys.Tower": "toys.Unheard, width: 3"})) == 1
    assert len(faults({"    age: numeric\n": "", "features:": "features: 3", "    city: categorical\n": "",
                       "    tags: {kind: multi_valued, shares: city}\n": "",
                       "    history: {kind: sequence, columns: {seen: city, bought_before: null}, newest: first}\n": "",
                       "{epochs: 3}": "{epochs: 3}\n  features: [age]"})) == 1  # fmt: skip


def test_a_long_value_is_shortened() -> None:
    assert len(shown("x" * 500)) == 60
