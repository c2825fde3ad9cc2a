"""Every shipped recipe loads, says at its top how to run it, and answers a misspelt key with the right one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from distill.errors import RecipeError
from distill.recipe import load, show, warnings
from distill.recipe.reading import read
from distill.recipe.sections import Recipe
from distill.recipe.shape import keys
from distill.recipe.tree import Node, Report, Source

FOLDER = Path(__file__).resolve().parents[1] / "recipes"
RECIPES = sorted(FOLDER.glob("*.yaml"))
NEEDS_A_FILE = ["data.path=rows.parquet"]
"""What recipes without data of their own are given."""

pytestmark = pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])


def overrides(path: Path) -> list[str]:
    return NEEDS_A_FILE if "data.path=FILE" in path.read_text(encoding="utf-8") else []


def test_it_loads_and_what_is_shown_loads_to_the_same(path: Path, tmp_path: Path) -> None:
    recipe = load(path, overrides(path))
    shown = tmp_path / "shown.yaml"
    shown.write_text(show(recipe), encoding="utf-8")
    assert load(shown) == recipe
    assert recipe.name == path.stem


def test_it_opens_with_how_to_run_it(path: Path) -> None:
    first, second, *_ = path.read_text(encoding="utf-8").splitlines()
    assert first.startswith(f"# Run:    distill run recipes/{path.name}")
    assert second.startswith("# Needs:  ")


def test_it_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 60


def test_no_feature_looks_like_the_answer(path: Path) -> None:
    assert not [fault for fault in warnings(load(path, overrides(path))) if "answer" in fault.what]


def test_a_misspelt_key_is_answered_with_the_right_one(path: Path, tmp_path: Path) -> None:
    """Every fourth, and others in each recipe: they have most keys in common."""
    for number, (node, valid) in [*enumerate(schema_keys(path))][RECIPES.index(path) % 4 :: 4]:
        misspelt = [wrong for wrong in typos(node.spelled) if wrong not in valid]
        check(path, tmp_path, node, misspelt[number % len(misspelt)])


@pytest.mark.slow
def test_every_misspelt_key_is_answered_with_the_right_one(path: Path, tmp_path: Path) -> None:
    for node, valid in schema_keys(path):
        for wrong in typos(node.spelled):
            if wrong not in valid:
                check(path, tmp_path, node, wrong)


def check(path: Path, folder: Path, node: Node, wrong: str) -> None:
    """One fault, at the key, that names the key that was meant."""
    lines = path.read_text(encoding="utf-8").splitlines()
    line, start = node.place.line - 1, node.place.column - 1
    assert lines[line][start:].startswith(node.spelled)
    lines[line] = lines[line][:start] + wrong + lines[line][start + len(node.spelled) :]
    for base in RECIPES:
        (folder / base.name).write_bytes(base.read_bytes())
    changed = folder / path.name
    changed.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        load(changed, overrides(path))
    [fault] = caught.value.faults
    assert fault.where.startswith(f"{changed}:{line + 1}:{start + 1}: ")
    assert fault.where.endswith(wrong)
    assert (fault.what, fault.remedy) == ("unknown key.", f'Did you mean "{node.spelled}"?')


def schema_keys(path: Path) -> list[tuple[Node, set[str]]]:
    """The keys of a recipe that are not free names, such as those of features, each with the keys valid beside it."""
    report = Report()
    tree = read(path.read_text(encoding="utf-8"), Source(0, path.name, path.parent), report)
    report.settle()
    return list(_schema_keys(tree, Recipe))


def _schema_keys(tree: Node, annotation: object) -> Iterator[tuple[Node, set[str]]]:
    valid = keys(annotation, tree.plain())
    free = keys(annotation, {"any name": None}).keys() == {"any name"}
    for key, node in tree.keys.items():
        if key == "extends":  # Read before there are sections; tests/distill/recipe has its faults.
            continue
        if not free:
            yield node, set(valid)
        yield from _schema_keys(node, valid[key])


def typos(key: str) -> list[str]:
    """Every way to drop a letter, double one, or swap two."""
    dropped = [key[:i] + key[i + 1 :] for i in range(len(key))]
    doubled = [key[: i + 1] + key[i:] for i in range(len(key))]
    swapped = [key[:i] + key[i + 1] + key[i] + key[i + 2 :] for i in range(len(key) - 1)]
    return [wrong for wrong in (*dropped, *doubled, *swapped) if wrong != key]
