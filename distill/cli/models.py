"""`distill models`: the rankers that a recipe may name."""

import sys

from distill.cli import arguments
from distill.cli.tables import emit, silence
from distill.errors import DistillError

ROLES = {"teachers": "teacher", "students": "student"}
"""Package -> what its rankers are meant to be; a user's own may be either."""


def models(json: arguments.Json = None) -> None:
    """List the rankers that a recipe may name, with their size on a small example and their source."""
    with silence():
        table = _table()
    emit(table, json)


def _table() -> dict[str, list[dict[str, object]]]:
    """The rankers that work, and those of other packages that do not, each with what is wrong."""
    from distill.ranker import available, packages

    found: list[dict[str, object]] = []
    broken: list[dict[str, object]] = []
    for package in packages():
        try:
            paths = available(package)
        except Exception as error:  # a stranger's package may raise whatever it likes
            broken.append({"class": package, "why": f"cannot be imported: {error}"})
            continue
        for path in paths:
            try:
                found.append(_row(path))
            except Exception as error:
                broken.append({"class": path, "why": _why(path, error)})
    return {"models": found, "broken": broken}


def _why(path: str, error: Exception) -> str:
    """Which promise a ranker breaks; what it raised here, where the battery finds none."""
    from distill.testing import check_ranker

    try:
        check_ranker(path)
    except (AssertionError, DistillError) as refusal:
        return str(refusal).splitlines()[0]
    return f"{type(error).__name__}: {error}"


def _row(path: str) -> dict[str, object]:
    from distill.ranker import resolve

    ranker = resolve(path)
    parameters, flops, fast = _measured(path)
    return {
        "class": path,
        "role": ROLES.get(path.partition(".")[0]),
        "parameters": parameters,
        "flops": flops,
        "fast": fast,
        "summary": (ranker.__doc__ or "").split("\n")[0],
        "source": _source(sys.modules[ranker.__module__].__doc__ or ""),
    }


def _source(text: str) -> str | None:
    """The second paragraph of a module's docstring, which names the paper."""
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    return paragraphs[1] if len(paragraphs) > 1 else None


def _measured(path: str) -> tuple[int | None, int | None, bool | None]:
    """Parameters, floating-point operations of one row, and whether a stack of it runs without being mapped.

    With default settings, on the schema of our examples.
    """
    import torch
    from torch.utils._pytree import tree_map

    from distill.cost import cost
    from distill.fleet import Fleet
    from distill.ranker import resolve
    from distill.testing import example_features, example_schema

    if any(field.is_required() for field in resolve(path).Config.model_fields.values()):
        return None, None, None
    schema, generator = example_schema(), torch.Generator().manual_seed(0)
    rankers = [resolve(path)(schema, resolve(path).Config()).eval() for _ in range(2)]
    counted = cost(lambda: resolve(path)(schema, resolve(path).Config()), schema)
    rows = [example_features(schema, 8, generator) for _ in rankers]
    stacked = tree_map(lambda *tensors: torch.stack(tensors), *rows)
    return counted.dense + counted.sparse, counted.flops, Fleet(rankers).eval().direct(stacked)
