"""Formats: a student as a program that needs nothing of this package, for any number of rows."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram
from torch.utils._pytree import tree_map

from distill.errors import ExportError, Fault
from distill.serving.engine import MISSING, REMEDY
from distill.serving.graph import Graph, Inputs
from distill.serving.manifest import MODELS, Format


def write(kind: Format, graph: Graph, example: Inputs, folder: Path) -> None:
    """Writes a student in a format; the weights themselves are there already.

    Args:
        kind: the format.
        graph: the student.
        example: two rows or more of what it takes.
        folder: where the file goes.

    Raises:
        ExportError: the student cannot be traced, or a package is missing.
    """
    if kind == "safetensors":
        return
    with _quiet():
        program = _program(graph, example)
        if kind == "torch-export":
            torch.export.save(program, folder / MODELS[kind])
        else:
            _write_onnx(program, folder / MODELS[kind])


def _program(graph: Graph, example: Inputs) -> ExportedProgram:
    rows, example = Dim("rows"), tree_map(Tensor.clone, example)  # They may share memory, which is not saved twice.
    shapes = tuple(tree_map(lambda tensor: {0: rows}, part) for part in example)
    try:
        with torch.no_grad():
            return torch.export.export(graph, tuple(example), dynamic_shapes=shapes, strict=False)
    except Exception as error:  # whatever the code of a ranker makes of being traced
        what = f"cannot be traced: {(str(error).splitlines() or [type(error).__name__])[0]}"
        raise ExportError(Fault(type(graph.ranker).__name__, what, "Export it as safetensors.")) from error


def _write_onnx(program: ExportedProgram, path: Path) -> None:
    try:
        import onnxruntime  # noqa: F401  a file that cannot be run here cannot be compared

        made = torch.onnx.export(program, dynamo=True, verbose=False, output_names=["logit", "probability"])
    except ImportError as error:
        raise ExportError(Fault(str(error.name), MISSING, REMEDY)) from None
    made.save(path, external_data=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """What the exporters say of their own progress is nobody's business."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
