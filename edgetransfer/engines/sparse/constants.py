"""What of an ONNX graph is known without an image: weights, shapes and what follows from them."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import numpy_helper

from edgetransfer.errors import EngineError
from edgetransfer.graphs.folding import evaluation
from edgetransfer.graphs.graph import Array, dense_of


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes by name; tensors as arrays, text as str."""
    values: dict[str, Any] = {}
    for attribute in node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        elif isinstance(value, onnx.TensorProto):
            value = numpy_helper.to_array(value)
        elif isinstance(value, onnx.SparseTensorProto):
            value = dense_of(value)
        values[attribute.name] = value
    return values


def initial_constants(graph: onnx.GraphProto) -> dict[str, Array]:
    """The initializers, dense and sparse, as arrays."""
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    for tensor in graph.sparse_initializer:
        constants[tensor.values.name] = dense_of(tensor)
    return constants


def evaluate(node: onnx.NodeProto, inputs: list[Array | None], opset: int) -> list[Array]:
    """The outputs of a node all of whose inputs are constants; None is an input left out.

    Raises
    ------
    EngineError
        If the operator is not among those that are worked out, or does not fit its inputs.
    """
    try:
        made = evaluation.evaluate(node, inputs, opset)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise EngineError(f"{node.op_type} does not fit its inputs: {error}") from error
    if made is None:
        raise EngineError(f"it does not know the operator {node.op_type} on constants")
    return made
