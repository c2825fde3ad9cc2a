"""Int8: a program for ONNX Runtime with its tables, and perhaps its linear layers, in whole numbers of eight bits."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from distill.errors import ExportError, Fault
from distill.serving.engine import MISSING, REMEDY

LARGEST = 127
"""Largest whole number used, on either side of 0."""

NARROW = 2
"""Width up to which rows stay as they are: a scale for each would take as much room."""

LINEAR = ["MatMul", "Gemm"]
"""What a linear layer becomes in ONNX."""


def write_int8(source: Path, target: Path, linear: bool) -> None:
    """Writes a program again, in eight bits.

    Rows of tables get a scale each, so that rare ids, whose rows are short, keep their precision. Linear layers are
    ONNX Runtime's dynamic ones: weights with a scale for each output, inputs with one that each call finds anew. Those
    that ONNX Runtime has no whole numbers for stay as they are (`_kept`).

    Args:
        source: the program in floating point.
        target: the file to write.
        linear: whether linear layers are quantized too.

    Raises:
        ExportError: a package is missing.
    """
    try:
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise ExportError(Fault(str(error.name), MISSING, REMEDY)) from None
    with tempfile.TemporaryDirectory() as name:
        folded, quantized = Path(name) / "folded.onnx", Path(name) / "quantized.onnx"
        if linear:  # Weights that come in pieces are constants only once the cutting has been done.
            quant_pre_process(str(source), str(folded), skip_symbolic_shape=True)
            kept = _kept(onnx.load(folded).graph)
            signed = QuantType.QInt8
            quantize_dynamic(folded, quantized, LINEAR, per_channel=True, weight_type=signed, nodes_to_exclude=kept)
        model = onnx.load(quantized if linear else source)
    _quantize_tables(model.graph)
    onnx.save(model, target)


def _kept(graph: Any) -> list[str]:
    """The products that stay in floating point: of nothing, and those whose weights are more than one matrix.

    A product of nothing is 0, as of the numbers of a student that has none; in whole numbers ONNX Runtime takes it from
    memory that nobody has written. A stack of matrices (one for each head, say) gets a scale for each row in the place
    of one for each output, and is then refused by what runs it.
    """
    shapes = {one.name: tuple(one.dims) for one in graph.initializer}
    products = [node for node in graph.node if node.op_type in LINEAR and node.input[1] in shapes]
    odd = [node.name for node in products if len(shapes[node.input[1]]) != 2 or 0 in shapes[node.input[1]]]
    return [name for one in odd for name in (one, f"{one}_MatMul")]  # the second is what a Gemm becomes on the way


def _quantize_tables(graph: Any) -> None:
    """Puts whole numbers and scales in the place of every table that rows are gathered from."""
    from onnx import numpy_helper

    held = {one.name: one for one in graph.initializer}
    nodes, replaced = [], {}
    for node in graph.node:
        rows = node.op_type == "Gather" and not any(one.name == "axis" and one.i for one in node.attribute)
        table = held.get(node.input[0]) if rows else None
        values = None if table is None else numpy_helper.to_array(table)
        if values is None or values.dtype != np.float32 or values.ndim != 2 or values.shape[1] <= NARROW:
            nodes.append(node)
        else:
            replaced[table.name] = values
            nodes += _gathered(node, table.name)
    del graph.node[:]
    graph.node.extend(nodes)
    still_read = {name for node in nodes for name in node.input}
    for name, values in replaced.items():
        if name not in still_read:
            graph.initializer.remove(held[name])
        for part, array in zip(_names(name), _parts(values), strict=True):
            graph.initializer.append(numpy_helper.from_array(array, part))


def _parts(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows as whole numbers, and the scale of each row."""
    scale = np.abs(values).max(1, keepdims=True) / np.float32(LARGEST)
    return np.rint(values / np.where(scale > 0, scale, 1)).astype(np.int8), scale


def _names(table: str) -> tuple[str, str]:
    return f"{table}.int8", f"{table}.scale"


def _gathered(node: Any, table: str) -> list[Any]:
    """What reads the same rows: whole numbers times their scale."""
    from onnx import TensorProto, helper

    ids, out, (whole, scale) = node.input[1], node.output[0], _names(table)
    return [
        helper.make_node("Gather", [whole, ids], [f"{out}.whole"], axis=0),
        helper.make_node("Cast", [f"{out}.whole"], [f"{out}.real"], to=TensorProto.FLOAT),
        helper.make_node("Gather", [scale, ids], [f"{out}.scale"], axis=0),
        helper.make_node("Mul", [f"{out}.real", f"{out}.scale"], [out]),
    ]
