"""Weights that are not numbers, or without bound, make features that are none."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edgetransfer.errors import BackboneError
from edgetransfer.graphs.graph import Graph, attribute

# Operators that may read an infinite value on purpose: limits, and what stands where nothing is.
TAKES_INFINITE = frozenset(
    (
        *("Clip", "Pad", "Where", "Max", "Min", "Expand", "ConstantOfShape", "Trilu"),
        *("Less", "Greater", "LessOrEqual", "GreaterOrEqual", "Equal", "ScatterND"),
    )
)
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)


def check_finite(model: onnx.ModelProto) -> None:
    """Refuse weights that are not numbers or infinite, and variances below zero.

    Raises
    ------
    BackboneError
        That names the weights.
    """
    graph = Graph(model)
    for tensor in model.graph.initializer:
        if tensor.data_type not in FLOATS:
            continue
        values = numpy_helper.to_array(tensor)
        finite = np.isfinite(values)
        if finite.all():
            continue
        bad = values[~finite]
        readers = graph.consumers.get(tensor.name, [])
        # A mask that is added to attention: nothing, or minus infinity.
        masks = bool(((values == 0) | np.isneginf(values)).all())
        meant = {*TAKES_INFINITE, "Add"} if masks else TAKES_INFINITE
        if np.isnan(bad).any() or not all(node.op_type in meant for node in readers):
            raise BackboneError(
                f"the weights {tensor.name!r} are infinite or not numbers ({bad.size} of "
                f"{values.size}); the file is broken, or its training diverged"
            )
    for node in model.graph.node:
        if node.op_type == "BatchNormalization" and len(node.input) > 4:
            variance = graph.array(node.input[4])
            if variance is not None and (variance + attribute(node, "epsilon", 1e-5) < 0).any():
                raise BackboneError(
                    f"the variances {node.input[4]!r} are negative; the file is broken"
                )
