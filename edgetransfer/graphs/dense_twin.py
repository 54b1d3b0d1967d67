"""The same network without its zeros, so that what they save can be timed."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from edgetransfer.graphs.graph import Graph
from edgetransfer.graphs.sparsity import WEIGHT_INPUTS

TWIN_SCALE = 1e-3  # what replaces zeros, as a share of the other weights' spread


def dense_twin(model: onnx.ModelProto, seed: int = 0) -> onnx.ModelProto:
    """A copy whose zero weights are small seeded random numbers: the same work, no zeros."""
    graph = Graph(model)
    weights = {
        node.input[WEIGHT_INPUTS[node.op_type][0]]
        for node in model.graph.node
        if node.op_type in WEIGHT_INPUTS
    }
    twin = onnx.ModelProto()
    twin.CopyFrom(model)
    for index, tensor in enumerate(twin.graph.initializer):
        values = graph.array(tensor.name) if tensor.name in weights else None
        if values is None or values.dtype != np.float32 or values.all():
            continue
        spread = float(values.std()) or 1.0
        noise = np.random.default_rng((seed, index)).standard_normal(values.shape, np.float32)
        filled = np.where(values == 0, noise * np.float32(TWIN_SCALE * spread), values)
        tensor.CopyFrom(numpy_helper.from_array(filled, tensor.name))
    return twin
