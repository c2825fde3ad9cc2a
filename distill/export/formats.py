"""Formats: a student as a program that needs nothing of this package, for any number of rows."""

import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram
from torch.utils._pytree import tree_map

from distill.errors import ExportError, Fault, first_line
from distill.export.int8 import write_int8
from distill.serving.engine import MISSING, REMEDY
from distill.serving.graph import Graph, Inputs
from distill.serving.manifest import MODELS, ROUNDED, Format


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
        if kind in ROUNDED:
            _write_rounded(kind, graph, example, folder)
            return
        program, path = _program(graph, example), folder / MODELS[kind]
        {"torch-export": torch.export.save, "onnx": _write_onnx, "native": _write_native}[kind](program, path)


def _program(graph: Graph, example: Inputs) -> ExportedProgram:
    rows, example = Dim("rows"), tree_map(Tensor.clone, example)  # They may share memory, which is not saved twice.
    shapes = tuple(tree_map(lambda tensor: {0: rows}, part) for part in example)
    try:
        with torch.no_grad():
            return torch.export.export(graph, tuple(example), dynamic_shapes=shapes, strict=False)
    except Exception as error:  # whatever the code of a ranker makes of being traced
        what = f"cannot be traced: {first_line(error)}."
        raise ExportError(Fault(type(graph.ranker).__name__, what, "Export it as safetensors.")) from error


def _write_onnx(program: ExportedProgram, path: Path) -> None:
    try:
        import onnxruntime  # noqa: F401  a file that cannot be run here cannot be compared

        made = torch.onnx.export(program, dynamo=True, verbose=False, output_names=["logit", "probability"])
    except ImportError as error:
        raise ExportError(Fault(str(error.name), MISSING, REMEDY)) from None
    made.save(path, external_data=False)


def _write_rounded(kind: Format, graph: Graph, example: Inputs, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        plain = folder / MODELS["onnx"]
        if not plain.exists():
            plain = Path(name) / plain.name
            _write_onnx(_program(graph, example), plain)
        write_int8(plain, folder / MODELS[kind], linear=kind == "int8")


def _write_native(program: ExportedProgram, path: Path) -> None:
    from torch._inductor import aoti_compile_and_package

    try:
        aoti_compile_and_package(program, package_path=str(path))
    except Exception as error:  # no compiler, one that fails, or an operation that has no native form
        what = f"cannot be compiled: {first_line(error)}."
        raise ExportError(Fault(path.name, what, "Install a C++ compiler (g++), or leave this format out.")) from error


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
