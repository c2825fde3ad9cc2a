"""The shape of the code, kept by tests: who imports whom, what is exported, how large things grow, what is listed."""

import ast
import importlib
import re
import statistics
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from jaxtyping import TypeCheckError

from distill.losses import binary_cross_entropy

CHECKOUT = Path(__file__).resolve().parents[1]

FLOORS = [
    {"types", "losses", "metrics", "errors", "files", "fingerprint", "printable", "progress", "spent", "columns"},
    {"ranker", "layers", "fp8"},
    {
        *("recipe", "data", "knowledge", "store", "member", "sampling", "feed", "ahead", "stopping"),
        *("objective", "ensemble", "heads", "history", "inputs", "sharing", "standing", "fallback", "fleet"),
        *("optimizer", "evidence", "adapter", "schedule", "latest", "traits", "low_rank"),
    },
    {
        *("learner", "callbacks", "checkpoints", "cohort", "course", "lesson", "recorder", "scoring", "training"),
        *("tracking", "time_ahead", "distributed", "auditing", "domains", "panel", "representing", "transfer"),
        *("probing", "lowering", "serving", "agreement", "channels", "refining", "premises"),
    },
    {
        *("pipeline", "planning", "cost", "diagnosis", "judging", "recording", "comparing", "report", "shipping"),
        *("testing", "workers", "ranks", "bench", "export", "sweep", "rack", "contest"),
    },
    {"cli"},
]
"""Modules and packages of `distill`, from the ground up. A module imports from its own floor or from below."""

FLOOR = {f"distill.{name}": floor for floor, names in enumerate(FLOORS) for name in names}
RANKERS = {"students": 2, "teachers": 2}

RESTRICTED = {
    "lightning": tuple(f"distill.{name}" for floor in FLOORS[3:] for name in floor),
    "mlflow": ("distill.tracking", "distill.bench.tracking"),  # the other side of a comparison
    "polars": ("distill.data", "distill.knowledge", "distill.bench.impressions"),  # writes what it measures with
    "pyarrow": ("distill.data", "distill.knowledge"),
    "onnxruntime": ("distill.serving", "distill.export"),
    "pandas": (),
    "torchmetrics": ("distill.metrics",),  # one file of it, which the others do not import
    "typer": ("distill.cli",),
    "ruamel": ("distill.recipe",),
}
"""Third-party package -> the only parts of ours that may import it."""

VAGUE = {"utils", "util", "common", "base", "helpers", "helper", "core", "misc"}
"""Names that say nothing about what a module is."""

UNFINISHED = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")))


class Module(NamedTuple):
    """One file of ours."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def part(self) -> str:
        """The module or package of `distill` that it belongs to; `students` or `teachers` elsewhere."""
        return ".".join(self.name.split(".")[: 2 if self.name.startswith("distill.") else 1])

    @property
    def where(self) -> str:
        return str(self.path.relative_to(CHECKOUT))


@cache
def modules() -> tuple[Module, ...]:
    found = []
    for package in ("distill", "students", "teachers"):
        for path in sorted((CHECKOUT / package).rglob("*.py")):
            name = ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__")
            found.append(Module(name, path, ast.parse(path.read_text())))
    return tuple(found)


def imports(module: Module) -> Iterator[tuple[int, str]]:
    """Line and absolute name of everything that a module imports, at its top or inside a function."""
    known = {other.name for other in modules()}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from ((node.lineno, name if name in known else str(node.module)) for name in names)


def within(name: str, parts: tuple[str, ...]) -> bool:
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def ours(name: str) -> bool:
    return within(name, ("distill", "students", "teachers"))


def part_of(name: str) -> str:
    return ".".join(name.split(".")[: 2 if name.startswith("distill.") else 1])


class TestFloors:
    def test_every_module_has_its_floor_and_every_floor_its_modules(self):
        there = {module.part for module in modules() if module.name.startswith("distill.")}
        assert there - FLOOR.keys() == set(), "place these in FLOORS"
        assert FLOOR.keys() - there == set(), "these are gone; take them out of FLOORS"

    def test_imports_go_down(self):
        floors = FLOOR | RANKERS
        wrong = [
            f"{module.where}:{line}: floor {floors[module.part]} imports {name}, floor {floors[part_of(name)]}"
            for module in modules()
            if module.part in floors
            for line, name in imports(module)
            if part_of(name) in floors and floors[part_of(name)] > floors[module.part]
        ]
        assert wrong == []

    def test_the_framework_knows_no_ranker(self):
        wrong = [
            f"{module.where}:{line}: {name}"
            for module in modules()
            if module.name.startswith("distill")
            for line, name in imports(module)
            if within(name, tuple(RANKERS))
        ]
        assert wrong == []

    def test_no_parts_import_each_other_in_a_circle(self):
        below = {module.part: set() for module in modules()}
        for module in modules():
            found = {part_of(name) for _, name in imports(module) if ours(name)}
            below[module.part] |= found - {module.part}
        while bare := {part for part, others in below.items() if not others & below.keys()}:
            below = {part: others for part, others in below.items() if part not in bare}
        assert below == {}

    @pytest.mark.parametrize("package", RESTRICTED)
    def test_some_packages_have_their_place(self, package):
        wrong = [
            f"{module.where}:{line}: {name}"
            for module in modules()
            for line, name in imports(module)
            if within(name, (package,)) and not within(module.name, RESTRICTED[package])
        ]
        assert wrong == []

    def test_imports_are_absolute(self):
        relative = [
            f"{module.where}:{node.lineno}"
            for module in modules()
            for node in ast.walk(module.tree)
            if isinstance(node, ast.ImportFrom) and (node.level or node.module == "__future__")
        ]
        assert relative == []


class TestNames:
    def test_modules_say_what_they_are(self):
        assert [module.where for module in modules() if VAGUE & set(module.name.split("."))] == []

    def test_folders_are_packages(self):
        folders = {module.path.parent for module in modules()}
        assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []

    @pytest.mark.parametrize("name", [module.name for module in modules() if module.path.name == "__init__.py"])
    def test_packages_export_what_they_name_and_nothing_else(self, name):
        package = next(module for module in modules() if module.name == name)
        imported = {alias.asname or alias.name for node in package.tree.body for alias in getattr(node, "names", [])}
        exported = getattr(importlib.import_module(name), "__all__", [])
        assert set(exported) == {name for name in imported if not name.startswith("_")}
        assert len(set(exported)) == len(exported)

    def test_what_modules_name_exists(self):
        for module in modules():
            if any("__all__" in ast.unparse(node) for node in module.tree.body if isinstance(node, ast.Assign)):
                loaded = importlib.import_module(module.name)
                assert [name for name in loaded.__all__ if not hasattr(loaded, name)] == [], module.name


class Function(NamedTuple):
    """One function of ours, and the number of its lines without its docstring."""

    where: str
    lines: int
    node: ast.FunctionDef


@cache
def functions() -> tuple[Function, ...]:
    found = []
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[0]
                documented = ast.get_docstring(node) is not None
                lines = node.end_lineno - node.lineno + 1
                lines -= first.end_lineno - first.lineno + 1 if documented else 0
                found.append(Function(f"{module.where}:{node.lineno} {node.name}", lines, node))
    return tuple(found)


class TestSizes:
    def test_files_are_small(self):
        lines = {module.where: module.path.read_text().count("\n") for module in modules()}
        assert {where: count for where, count in lines.items() if count > 300} == {}
        assert statistics.median(count for count in lines.values() if count >= 10) < 180

    def test_functions_are_short(self):
        lines = [function.lines for function in functions()]
        assert [f"{function.where}: {function.lines}" for function in functions() if function.lines > 50] == []
        assert statistics.median(lines) <= 8
        assert statistics.quantiles(lines, n=10)[-1] < 25

    def test_signatures_name_every_argument_and_its_type(self):
        wrong = []
        for function in functions():
            arguments = function.node.args
            named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            named += [arguments.vararg] if arguments.vararg else []
            bare = [entry.arg for entry in named if entry.annotation is None and entry.arg not in ("self", "cls")]
            wrong += [f"{function.where}: {name} has no type" for name in bare]
            wrong += [f"{function.where}: **{arguments.kwarg.arg}"] if arguments.kwarg else []
        assert wrong == []


def test_shapes_are_checked_while_tests_run():
    with pytest.raises(TypeCheckError):
        binary_cross_entropy(torch.zeros(2, 1), torch.zeros(2))  # would broadcast to 2 x 2


def tracked() -> list[Path]:
    """Files that git knows or would add, and that are there; none where this is no checkout of git."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False).stdout.splitlines()
    return [path for path in map(CHECKOUT.joinpath, listed) if path.is_file()]


def test_nothing_is_left_unfinished():
    written = [path for path in tracked() if path.suffix in {".py", ".md", ".yaml", ".toml", ".txt", ""}]
    marks = [
        f"{path.relative_to(CHECKOUT)}:{number}"
        for path in written
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if UNFINISHED.search(line)
    ]
    assert marks == []


def test_scripts_can_be_run():
    scripts = [*(CHECKOUT / "scripts").iterdir(), CHECKOUT / ".ci" / "run"]
    assert [path.name for path in scripts if not path.stat().st_mode & 0o100] == []


def listing(readme: str) -> dict[str, str]:
    """Path -> clause, from the block under `File structure`: `name  clause` in a line, folders end with a slash."""
    block = re.search(r"^#+ File structure\n.*?^```\w*\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    assert block, "README has no block under a heading `File structure`"
    found, folders = {}, []
    for line in block[1].splitlines():
        entry = re.fullmatch(r"( *)(\S+)(?:\s{2,}(\S.*))?", line)
        if entry is None:
            continue
        depth, name, clause = len(entry[1]), entry[2], entry[3] or ""
        folders = [folder for folder in folders if folder[0] < depth]
        found["".join(parent for _, parent in folders) + name] = clause
        if name.endswith("/"):
            folders.append((depth, name))
    return found


class TestReadme:
    @pytest.fixture
    def listed(self) -> dict[str, str]:
        readme = CHECKOUT / "README.md"
        if not readme.exists():
            pytest.skip("there is no README.md yet")
        return listing(readme.read_text())

    def test_a_listing_is_read_as_it_is_indented(self):
        text = (
            "## File structure\n```\na/          one\n  b.py      two\n  c/        three\n    d.py\ne.yaml  four\n```\n"
        )
        assert listing(text) == {"a/": "one", "a/b.py": "two", "a/c/": "three", "a/c/d.py": "", "e.yaml": "four"}

    def test_every_file_is_listed_with_a_clause(self, listed):
        folders = ("distill", "students", "teachers", "recipes", "scripts")
        there = {path.relative_to(CHECKOUT) for path in tracked()}
        files = {str(path) for path in there if path.parts[0] in folders and path.name != "__init__.py"}
        assert sorted(files - listed.keys()) == [], "not listed"
        assert sorted(name for name in files if not listed.get(name)) == [], "no clause"

    def test_every_listed_file_is_there(self, listed):
        assert [name for name in listed if not (CHECKOUT / name).exists()] == []
