"""What stands behind a layer: where its bias is, what batch-norm makes of it, what is clipped."""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from edgetransfer.graphs.graph import Graph, attribute

Float64Array = NDArray[np.float64]
BiasHome = Literal["bias", "batch-norm", "new", "none"]


def only_reader(graph: Graph, tensor: str, *operators: str) -> onnx.NodeProto | None:
    """Who reads a tensor, if it is one node and of these kinds."""
    readers = graph.consumers.get(tensor, [])
    if tensor in {value.name for value in graph.proto.output} or len(readers) != 1:
        return None
    return readers[0] if readers[0].op_type in operators else None


def bias_home(
    graph: Graph, node: onnx.NodeProto, norm: onnx.NodeProto | None, channels: int
) -> tuple[str | None, BiasHome]:
    """The initializer that shifts a layer's output, and which it is."""

    def own(name: str) -> bool:
        if name not in graph.initializers or len(graph.consumers[name]) != 1:
            return False
        return int(np.prod(graph.initializers[name].dims)) == channels

    if len(node.input) > 2 and node.input[2]:
        return (node.input[2], "bias") if own(node.input[2]) else (None, "none")
    if norm is not None and own(norm.input[3]):
        return norm.input[3], "batch-norm"
    if node.op_type == "MatMul":
        return None, "none"
    return f"{node.input[1]}/bias", "new"


def gain_of(graph: Graph, norm: onnx.NodeProto | None) -> Float64Array | float:
    """What a batch-norm multiplies channels by; a dead one counts next to nothing."""
    found = [None] if norm is None else [graph.array(name) for name in norm.input[1:5]]
    if norm is None or any(values is None for values in found):
        return 1.0
    gamma, _, _, variance = (np.asarray(values, np.float64) for values in found)
    size = np.abs(gamma) / np.sqrt(variance + attribute(norm, "epsilon", 1e-5))
    most = float(size.max())
    result: Float64Array = np.maximum(size, 1e-6 * most) if 0 < most < np.inf else size * 0 + 1
    return result


def clipped(
    graph: Graph, output: str, norm: onnx.NodeProto | None, channels: int
) -> tuple[Float64Array, Float64Array]:
    """Where the activation function behind a layer clips the layer's own output."""
    low, high = -np.inf, np.inf
    behind = only_reader(graph, norm.output[0] if norm else output, "Relu", "Clip")
    if behind is not None and behind.op_type == "Relu":
        low = 0.0
    elif behind is not None:
        bounds = [graph.array(name) if name else None for name in behind.input[1:]]
        low = float(bounds[0]) if bounds and bounds[0] is not None else low
        high = float(bounds[1]) if len(bounds) > 1 and bounds[1] is not None else high
    lower, upper = np.full(channels, low), np.full(channels, high)
    if norm is None:
        return lower, upper
    parameters = [graph.array(name) for name in norm.input[1:5]]
    if any(p is None for p in parameters):
        return np.full(channels, -np.inf), np.full(channels, np.inf)
    gamma, beta, mean, variance = (np.asarray(p, np.float64) for p in parameters)
    scale = gamma / np.sqrt(variance + attribute(norm, "epsilon", 1e-5))
    with np.errstate(divide="ignore", invalid="ignore"):
        first = (lower - beta) / scale + mean
        second = (upper - beta) / scale + mean
    lower = np.where(scale > 0, first, second)
    upper = np.where(scale > 0, second, first)
    return (
        np.where(scale == 0, -np.inf, lower),
        np.where(scale == 0, np.inf, upper),
    )
