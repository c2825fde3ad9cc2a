"""Whatever a recipe says, it either loads or is refused with faults that have a place."""

import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from distill.errors import RecipeError
from distill.recipe import load, show, warnings
from tests.distill.recipe.conftest import SAMPLE

WORDS = ["kind", "by", "class", "knowledge", "model", "world", "path", "columns", "numeric", "toys.Tower", "x", "", "1"]
values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=2),
    max_leaves=4,
)


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, below in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield (*path, key)
        yield from places(below, (*path, key))


@st.composite
def broken(draw: st.DrawFn) -> dict[str, Any]:
    """The sample after a few wild changes: a value replaced, a key taken away, a key added."""
    tree = YAML(typ="safe", pure=True).load(SAMPLE)
    for _ in range(draw(st.integers(1, 4))):
        *above, key = draw(st.sampled_from(list(places(tree))))
        parent = tree
        for step in above:
            parent = parent[step]
        change = draw(st.sampled_from(["replace", "remove", "add"]))
        if change == "replace" or isinstance(parent, list):
            parent[key] = copy.deepcopy(draw(values))
        elif change == "remove" and len(tree) > 1:
            del parent[key]
        else:
            parent[draw(st.sampled_from(WORDS))] = copy.deepcopy(draw(values))
    return tree


@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(tree=broken(), override=st.sampled_from(["seed=1", "data.split=3", "teacher.x=1", "data.features.age.kind=x"]))
def test_it_loads_or_every_fault_has_a_place(write: Callable[..., Path], tree: dict[str, Any], override: str) -> None:
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.dump(tree, write(""))
    try:
        recipe = load(Path("recipe.yaml"), [override])
    except RecipeError as error:
        messages = list(map(str, error.faults))
        assert len(set(messages)) == len(messages), "nothing is said twice"
        assert all(re.match(r'recipe\.yaml:\d+:\d+|override "', message) for message in messages)
    else:
        assert show(recipe)
        warnings(recipe)
