"""Names for the weights of an exported ONNX graph that has none.

Exporters that fold batch-norm name the results by numbers (``545``, ``onnx::Conv_545``), which
tell nothing in a table of layers.
"""

from __future__ import annotations

import re

import onnx

NUMBERED = re.compile(r"(onnx::\w*_?)?\d+")
PARTS = {"Conv": ("", "weight", "bias"), "Gemm": ("", "weight", "bias"), "MatMul": ("", "weight")}


def name_weights(model: onnx.ModelProto) -> dict[str, str]:
    """Rename numbered weights by the layer that reads them; changes the model.

    A layer is called as its other weights are, else as its node, else by its kind and position.

    Returns
    -------
    Old names to new ones.
    """
    stored = {tensor.name for tensor in model.graph.initializer}
    taken = stored | {name for node in model.graph.node for name in node.output}
    renamed: dict[str, str] = {}
    for index, node in enumerate(model.graph.node):
        for position, part in enumerate(PARTS.get(node.op_type, ())):
            old = node.input[position] if position < len(node.input) else ""
            if position == 0 or old not in stored or old in renamed or not NUMBERED.fullmatch(old):
                continue
            new = f"{_layer_name(node, stored, index)}.{part}"
            while new in taken:
                new = f"{new}_"
            taken.add(new)
            renamed[old] = new
    for tensor in model.graph.initializer:
        tensor.name = renamed.get(tensor.name, tensor.name)
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    return renamed


def _layer_name(node: onnx.NodeProto, stored: set[str], index: int) -> str:
    for name in node.input[1:]:
        if name in stored and not NUMBERED.fullmatch(name) and "." in name:
            return str(name).rpartition(".")[0]
    if node.name:
        return str(node.name).strip("/").replace("/", ".")
    return f"{node.op_type}_{index}"
