"""How sparse a backbone is: zeros and multiply-adds, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from edgetransfer.graphs.graph import Array, Graph, attribute, dims_of
from edgetransfer.reprs import short_repr

# Where each kind of layer keeps its weights, and their zero point if it is quantised.
WEIGHT_INPUTS: dict[str, tuple[int, int | None]] = {
    "Conv": (1, None),
    "Gemm": (1, None),
    "MatMul": (1, None),
    "ConvInteger": (1, 3),
    "MatMulInteger": (1, 3),
    "QLinearConv": (3, 5),
    "QLinearMatMul": (3, 5),
}
QUANTISED = frozenset(
    (
        *("ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul"),
        *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"),
    )
)
"""Operators whose weights or inputs are whole numbers with a scale."""


def quantised_node(model: onnx.ModelProto) -> onnx.NodeProto | None:
    """The first node of a quantised graph that says so; None if it is not quantised."""
    return next((node for node in model.graph.node if node.op_type in QUANTISED), None)


@dataclass(frozen=True, kw_only=True)
class LayerSparsity:
    """One convolution or fully connected layer.

    Parameters
    ----------
    name
        The name of its weights, or of its node, or of its output: the first that there is.
    shape
        The shape of its weights: (filters, channels per group, height, width), or two numbers.
    zeros, weights
        How many weights are exactly zero, and how many there are.
    pruned_filters, filters
        How many output channels have no weight left, and how many there are.
    positions
        Output positions per image: each weight is used once at every one.
    """

    name: str
    shape: tuple[int, ...]
    zeros: int
    weights: int
    pruned_filters: int
    filters: int
    positions: int

    __repr__ = short_repr

    @property
    def sparsity(self) -> float:
        """The share of weights that are zero, 0 to 1."""
        return self.zeros / self.weights

    @property
    def dense_macs(self) -> int:
        """Multiply-adds per image if every weight is used."""
        return self.weights * self.positions

    @property
    def nonzero_macs(self) -> int:
        """Multiply-adds per image with non-zero weights alone."""
        return (self.weights - self.zeros) * self.positions


@dataclass(frozen=True, kw_only=True)
class SparsityReport:
    """The layers of a backbone with weights, in graph order."""

    layers: tuple[LayerSparsity, ...]

    __repr__ = short_repr

    @property
    def sparsity(self) -> float:
        """Zeros over weights, over all layers (biases and batch-norm do not count); 0 to 1."""
        weights = sum(layer.weights for layer in self.layers)
        return sum(layer.zeros for layer in self.layers) / weights if weights else 0.0

    @property
    def dense_macs(self) -> int:
        """Multiply-adds per image if every weight is used."""
        return sum(layer.dense_macs for layer in self.layers)

    @property
    def nonzero_macs(self) -> int:
        """Multiply-adds per image with non-zero weights alone."""
        return sum(layer.nonzero_macs for layer in self.layers)

    @property
    def pruned_filters(self) -> float:
        """The share of convolution filters without a weight left, 0 to 1 (the paper's Table 4)."""
        convolutions = [layer for layer in self.layers if len(layer.shape) == 4]
        filters = sum(layer.filters for layer in convolutions)
        return sum(layer.pruned_filters for layer in convolutions) / filters if filters else 0.0


def measure_sparsity(frozen: onnx.ModelProto) -> SparsityReport:
    """Count zeros and multiply-adds in a frozen model (its shapes must be inferred)."""
    graph = Graph(frozen)
    shapes = {
        value.name: dims_of(value)
        for value in (*frozen.graph.value_info, *frozen.graph.output, *frozen.graph.input)
    }
    layers = []
    for node in frozen.graph.node:
        if node.op_type not in WEIGHT_INPUTS:
            continue
        position, zero_position = WEIGHT_INPUTS[node.op_type]
        name = node.input[position]
        weights = graph.array(name)
        if weights is None:
            continue
        zero = _zero_point(graph, node, zero_position, weights.ndim)
        is_zero = weights == zero
        output = shapes.get(node.output[0]) or []
        layers.append(
            LayerSparsity(
                name=_label(graph, node, name),
                shape=tuple(weights.shape),
                zeros=int(np.count_nonzero(is_zero)),
                weights=weights.size,
                pruned_filters=_pruned_filters(node, is_zero),
                filters=weights.shape[_filter_axis(node)],
                positions=_positions(output),
            )
        )
    return SparsityReport(layers=tuple(layers))


def count_weights(model: onnx.ModelProto) -> tuple[int, int]:
    """How many weights of a graph's layers are zero, and how many there are."""
    graph = Graph(model)
    zeros = weights = 0
    for node in model.graph.node:
        if node.op_type not in WEIGHT_INPUTS:
            continue
        index, zero_point = WEIGHT_INPUTS[node.op_type]
        array = graph.array(node.input[index]) if node.input[index] in graph.constants else None
        if array is not None:
            is_zero = array == _zero_point(graph, node, zero_point, array.ndim)
            zeros += int(np.count_nonzero(is_zero))
            weights += array.size
    return zeros, weights


def _label(graph: Graph, node: onnx.NodeProto, weights: str) -> str:
    while weights not in graph.initializers and weights in graph.producers:
        weights = graph.producers[weights].input[0]
    return weights or node.name or node.output[0]


def _zero_point(graph: Graph, node: onnx.NodeProto, position: int | None, ndim: int) -> Array:
    zero = None
    if position is not None and len(node.input) > position and node.input[position]:
        zero = graph.array(node.input[position])
    if zero is None:
        return np.zeros((), np.float32)
    return zero.reshape(-1, *[1] * (ndim - 1)) if zero.ndim == 1 else zero


def _filter_axis(node: onnx.NodeProto) -> int:
    """The axis of the weights that counts outputs."""
    if "Conv" in node.op_type or (node.op_type == "Gemm" and attribute(node, "transB", 0)):
        return 0
    return -1


def _pruned_filters(node: onnx.NodeProto, is_zero: Array) -> int:
    axis = _filter_axis(node) % is_zero.ndim
    others = tuple(i for i in range(is_zero.ndim) if i != axis)
    return int(np.count_nonzero(is_zero.all(axis=others)))


def _positions(output: list[int | None]) -> int:
    """Output positions of one image: height x width, or rows of a matrix product."""
    spatial = output[2:] if len(output) == 4 else output[1:-1]
    return int(np.prod([d or 1 for d in spatial], dtype=np.int64)) if spatial else 1
