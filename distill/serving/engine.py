"""Engines: what runs a student, from the content of one file each."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from distill.errors import ExportError, Fault, first_line
from distill.serving.graph import Graph, Inputs, Said
from distill.serving.manifest import Format, refusal

Engine = Callable[[Inputs], Said]
"""Says what a student says of some rows."""

KNOWN = (
    r"data/(weights/weight_\d+|weights/model_weights_config\.json|constants/tensor_\d+"
    r"|constants/model_constants_config\.json|sample_inputs/model\.pt)"
    r"|models/model\.json|archive_format|archive_version|byteorder|\.data/\w+"
)
"""What an archive of torch may hold."""

MISSING = "is not installed."
REMEDY = "Install the extra: pip install 'distill[export]'."


def engine(kind: Format, graph: Graph, content: bytes, path: Path) -> Engine:
    """What runs a student.

    Args:
        kind: in which format.
        graph: the student as a module, which is the format `safetensors`.
        content: of the file of the other formats.
        path: how faults name that file.

    Raises:
        ExportError: the file cannot be run, or what runs it is not installed.
    """
    try:
        return ENGINES[kind](graph, content, path)
    except ImportError as error:
        raise ExportError(Fault(str(error.name), MISSING, REMEDY)) from None


def _eager(graph: Graph, _: bytes, __: Path) -> Engine:
    return lambda inputs: Said(*graph(*inputs))


def _program(_: Graph, content: bytes, path: Path) -> Engine:
    try:
        _refuse_code(content)
        module = torch.export.load(io.BytesIO(content)).module()
    except Exception as error:  # torch has no error of its own for a file that is no program
        raise refusal(path, f"cannot be run: {first_line(error)}") from None
    return lambda inputs: Said(*module(*inputs))


def _refuse_code(content: bytes) -> None:
    """torch unpickles what an archive tells it to, so ours holds nothing but tensors, under names that we know.

    Raises:
        ValueError: it holds something else.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        held = {name.partition("/")[2]: archive.read(name) for name in names}
    odd = [name for name in held if not re.fullmatch(KNOWN, name)]
    if odd or len(held) != len(names) or "archive_format" not in held:
        raise ValueError(f"it holds {odd[0] if odd else 'something twice, or no format'}")
    for name, raw in held.items():
        if name.endswith("_config.json"):
            entries = json.loads(raw)["config"].values()
            if any(one["use_pickle"] or not re.fullmatch(r"(weight|tensor)_\d+", one["path_name"]) for one in entries):
                raise ValueError("it holds pickled objects")
        elif name.startswith("data/sample_inputs/"):
            torch.load(io.BytesIO(raw), weights_only=True)


def _native(_: Graph, content: bytes, path: Path) -> Engine:
    """Runs machine code, which can do whatever this process can: nothing loads it but a caller who asks for it."""
    from torch._inductor import aoti_load_package

    try:
        module = aoti_load_package(io.BytesIO(content), run_single_threaded=True)
    except Exception as error:  # made for another machine or torch, or no such package
        what = f"cannot be run here: {first_line(error)}."
        raise ExportError(Fault(str(path), what, "Export it on a machine like this one.")) from None
    # It takes its inputs to lie in memory as the example did, and looks at nothing but their addresses.
    return lambda inputs: Said(*module(*tree_map(Tensor.contiguous, tuple(inputs))))


def _session(graph: Graph, content: bytes, path: Path) -> Engine:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # Callers run several at once; threads of its own would only wait for each other.
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common class
        raise refusal(path, f"cannot be run: {first_line(error)}") from None
    taken = {one.name for one in session.get_inputs()}
    kept = [(place, name) for place, name in enumerate(names(graph)) if name in taken]

    def run(inputs: Inputs) -> Said:
        # No more than this: one row takes ONNX Runtime 20 microseconds.
        flat = (inputs.categorical, inputs.numeric, *inputs.sequences, *inputs.vectors)
        logit, probability = session.run(None, {name: flat[place].numpy() for place, name in kept})
        return Said(torch.from_numpy(logit), torch.from_numpy(probability))

    return run


ENGINES: dict[Format, Callable[[Graph, bytes, Path], Engine]] = {
    "safetensors": _eager,
    "torch-export": _program,
    "onnx": _session,
    "int8-tables": _session,
    "int8": _session,
    "native": _native,
}
"""What makes the engine of each format."""


def names(graph: Graph) -> list[str]:
    """How the inputs of an ONNX graph are called."""
    sequences = [f"sequences_{place}" for place in range(len(graph.sequences))]
    return ["categorical", "numeric", *sequences, *(f"vectors_{place}" for place in range(len(graph.vectors)))]
