"""Networks in half, brain or double precision, brought to float32.

All engines compute in float32. A weight of 16 bits has a float32 that is equal to it; of a double
the nearest is taken. What the file rounds between layers is no longer rounded.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edgetransfer.errors import BackboneError
from edgetransfer.graphs.graph import STANDARD, Array, graphs_in
from edgetransfer.graphs.shapes import tensor_of
from edgetransfer.graphs.untrusted import graphs_of, tensors_of

OTHER = {
    TensorProto.FLOAT16: "float16",
    TensorProto.BFLOAT16: "bfloat16",
    TensorProto.DOUBLE: "float64",
}
# Attributes that name a kind of element.
NAMING = frozenset(("to", "dtype", "output_dtype", "stash_type", "softmax_precision"))


def bring_to_float32(model: onnx.ModelProto) -> tuple[str, ...]:
    """Make every tensor, cast and declaration of another precision float32.

    Returns
    -------
    The names of the precisions that were found in weights or at the input.

    Raises
    ------
    BackboneError
        If a weight is too large for float32.
    """
    found: set[str] = set()
    for tensor in tensors_of(model):
        if tensor.data_type in OTHER:
            if np.prod(tensor.dims) > 1:
                found.add(OTHER[tensor.data_type])
            _convert(tensor)
    for graph in graphs_of(model):
        for value in (*graph.input, *graph.output, *graph.value_info):
            kind = value.type.tensor_type
            if value.type.HasField("tensor_type") and kind.elem_type in OTHER:
                if value in model.graph.input:
                    found.add(OTHER[kind.elem_type])
                kind.elem_type = TensorProto.FLOAT
    for node in _nodes(model):
        if node.domain in STANDARD:
            for item in node.attribute:
                if item.name in NAMING and item.i in OTHER:
                    item.i = TensorProto.FLOAT
    return tuple(sorted(found))


def _nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    for node in model.graph.node:
        yield node
        for graph in graphs_in(node):
            yield from graph.node


def _values(tensor: onnx.TensorProto) -> Array:
    if tensor.data_type != TensorProto.BFLOAT16:
        return np.asarray(numpy_helper.to_array(tensor))
    # bfloat16 is the upper half of a float32; releases of onnx differ in how they give it.
    halves: Array
    if tensor.raw_data:
        halves = np.frombuffer(tensor.raw_data, "<u2").astype(np.uint32)
    else:
        halves = np.array(tensor.int32_data, np.int64).astype(np.uint32) & np.uint32(0xFFFF)
    return (halves << 16).view(np.float32).reshape(tuple(tensor.dims))


def _convert(tensor: onnx.TensorProto) -> None:
    values = _values(tensor)
    with np.errstate(over="ignore"):
        converted = values.astype(np.float32)
    if not np.isfinite(converted[np.isfinite(values)]).all():
        raise BackboneError(
            f"the weights {tensor.name!r} are float64 with values that float32 cannot hold"
        )
    tensor.CopyFrom(tensor_of(tensor.name, converted))
