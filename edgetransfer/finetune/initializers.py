"""The stored tensors of a graph, written anew; without torch."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from edgetransfer.errors import BackboneError
from edgetransfer.graphs.graph import Array

WEIGHTED = frozenset(["Conv", "Gemm", "MatMul"])
"""The operators whose constant inputs are weights, which may be pruned."""


def with_initializers(model: onnx.ModelProto, values: dict[str, Array]) -> onnx.ModelProto:
    """A copy of a model with new values of some initializers; nothing else changes.

    Raises
    ------
    BackboneError
        If the model has no such initializer, or one of another shape.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    tensors = {tensor.name: tensor for tensor in changed.graph.initializer}
    for name, value in values.items():
        tensor = tensors.get(name)
        if tensor is None or tuple(tensor.dims) != value.shape:
            raise BackboneError(f"the graph has no initializer {name!r} of shape {value.shape}")
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value), name))
    return changed
