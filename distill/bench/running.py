"""Running: benchmarks by name, one after another, with what they were measured on."""

import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from distill.bench import BENCHES
from distill.bench.figure import Figure
from distill.bench.machine import machine
from distill.bench.rounds import FULL, Scale
from distill.errors import Fault, RecipeError, suggestion
from distill.progress import Progress


def run(names: Sequence[str], progress: Progress, scale: Scale = FULL) -> dict[str, Any]:
    """Measures, and tells each figure as soon as it is there.

    Args:
        names: of benchmarks; all of them where none is named.
        progress: told of every benchmark and figure.
        scale: how much they do.

    Returns:
        `{"machine": {...}, "figures": [...]}`, as `distill bench --json` writes it.

    Raises:
        RecipeError: some names mean nothing.
    """
    _check(names)
    torch.set_num_threads(1)
    figures = []
    for name in names or BENCHES:
        progress.note(f"{name}: {BENCHES[name]}")
        with progress.stage(name):
            for figure in _measure(name)(scale):
                figures.append(figure.row())
                progress.note(str(figure))
    return {"machine": machine(), "figures": figures}


def _check(names: Sequence[str]) -> None:
    valid = list(BENCHES)
    faults = [
        Fault(name, "there is no such benchmark.", suggestion(name, valid, len(valid)))
        for name in names
        if name not in valid
    ]
    if faults:
        raise RecipeError(*faults)


def _measure(name: str) -> Callable[[Scale], Iterator[Figure]]:
    """The one function of the module that bears the benchmark's name."""
    return importlib.import_module(f"distill.bench.{name.replace('-', '_')}").measure
