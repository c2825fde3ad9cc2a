"""A small recipe, and a package of toy rankers, so that these tests stand apart from the real ones."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import Field

from distill import ranker
from distill.errors import RecipeError
from distill.ranker import Ranker
from distill.recipe import Recipe, load
from distill.types import Features, Prediction, Settings

SAMPLE = """\
name: sample
data:
  path: rows.parquet
  split: {by: column, column: split}
  user: user_id
  time: timestamp
  features:
    age: numeric
    city: categorical
    tags: {kind: multi_valued, shares: city}
    history: {kind: sequence, columns: {seen: city, bought_before: null}, newest: first}
teacher:
  model: {class: toys.Tower}
students:
  model: {class: toys.Line}
  train: {epochs: 3}
"""


class Line(Ranker):
    class Config(Settings):
        """What a recipe may set of a Line."""

        bias: bool = True
        """Whether it has one."""

    def forward(self, features: Features) -> Prediction:
        raise NotImplementedError


class Tower(Ranker):
    class Config(Settings):
        """What a recipe may set of a Tower."""

        width: int = Field(default=8, ge=1)
        """Width of a layer."""
        layers: tuple[int, ...] = (4, 2)
        """Layers."""

    def forward(self, features: Features) -> Prediction:
        raise NotImplementedError


class Strict(Ranker):
    class Config(Settings):
        """What a recipe may set of a Strict."""

        width: int = Field(ge=1)
        """How wide it is."""

    def forward(self, features: Features) -> Prediction:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Offers the package `toys` to recipes, as an entry point would, and no other ranker."""
    for name in ("students", "teachers"):
        empty = ModuleType(name)
        empty.__all__ = []
        monkeypatch.setitem(sys.modules, name, empty)
    package = ModuleType("toys")
    package.Line, package.Tower, package.Strict, package.__all__ = Line, Tower, Strict, ["Line", "Strict", "Tower"]
    monkeypatch.setitem(sys.modules, "toys", package)
    point = type("Point", (), {"value": "toys"})()
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [point] if group == ranker.ENTRY_POINT else [])
    ranker.packages.cache_clear()
    yield
    ranker.packages.cache_clear()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes recipes into the folder in which the test then stands, and gives a relative path."""
    monkeypatch.chdir(tmp_path)

    def to_file(text: str, name: str = "recipe.yaml") -> Path:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


Loads = Callable[..., Recipe]
Faults = Callable[..., list[str]]


@pytest.fixture
def sample(write: Callable[..., Path]) -> Loads:
    """Loads the sample after replacing parts of its text: `sample({old: new}, *overrides)`."""

    def loaded(changes: dict[str, str] | None = None, *overrides: str) -> Recipe:
        text = SAMPLE
        for old, new in (changes or {}).items():
            assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the sample"
            text = text.replace(old, new)
        return load(write(text), overrides)

    return loaded


@pytest.fixture
def faults(sample: Loads) -> Faults:
    """The messages for a changed sample; the test fails where there are none."""

    def messages(changes: dict[str, str] | None = None, *overrides: str) -> list[str]:
        with pytest.raises(RecipeError) as caught:
            sample(changes, *overrides)
        return [str(fault) for fault in caught.value.faults]

    return messages
