"""Which channels of which tensors are one and the same, because an operator ties them.

An activation's output channel stands or falls with its input channel; a residual sum ties its
two inputs and its output, channel by channel; so do batch-norm and depthwise convolutions. Every
tied set has one number here, its root. A convolution ties nothing: its output channels are new.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgetransfer.errors import BackboneError
from edgetransfer.graphs.graph import LARGE, Array, Graph, attribute
from edgetransfer.graphs.shapes import Kind, infer
from edgetransfer.types import IntArray

# One tensor in, one out, each channel a function of its own channel alone; fixed at a constant.
UNARY = frozenset(
    (
        *("Relu", "Clip", "LeakyRelu", "Elu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish"),
        *("Softplus", "Identity", "Dropout", "Abs", "Neg", "Exp", "Sqrt"),
    )
)
POOLING = frozenset(("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"))
ELEMENTWISE = frozenset(("Add", "Sub", "Mul", "Div"))
USUAL = (1, 3, 224, 224)
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Layer:
    """A convolution or fully connected layer whose inputs and outputs can be cut.

    Parameters
    ----------
    node
        As it stands in the graph.
    weights, bias
        Names of initializers.
    reaches
        (outputs, inputs) bool: whether any weight between the two is not zero.
    totals
        (outputs, inputs) float64: the sum of a kernel's weights, which is what a constant input
        is multiplied by wherever no padding is under the kernel.
    padded
        Whether zeros are put around its input.
    depthwise
        Whether each output reads its own input alone; ``reaches`` and ``totals`` are (outputs, 1).
    flipped
        Whether the stored weights are (inputs, outputs).
    """

    node: onnx.NodeProto
    weights: str
    bias: str | None
    reaches: Bools
    totals: Array
    padded: bool
    depthwise: bool
    flipped: bool


@dataclass
class Channels:
    """The channels of every tensor.

    ``of[tensor][c]`` numbers channel c; two numbers are tied where `root` gives the same.
    Tensors that are not in it are opaque: nothing is known of their channels.
    ``pinned`` numbers must stay.
    """

    of: dict[str, IntArray] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    pinned: list[int] = field(default_factory=list)
    _parents: list[int] = field(default_factory=list)

    def fresh(self, count: int) -> IntArray:
        """New numbers."""
        start = len(self._parents)
        self._parents.extend(range(start, start + count))
        return np.arange(start, start + count)

    def root(self, number: int) -> int:
        """The number that stands for everything a channel is tied to."""
        while self._parents[number] != number:
            self._parents[number] = self._parents[self._parents[number]]
            number = self._parents[number]
        return number

    def roots(self, tensor: str) -> IntArray:
        """The roots of a tensor's channels."""
        return np.array([self.root(int(n)) for n in self.of[tensor]], np.int64)

    def tie(self, one: IntArray, other: IntArray) -> None:
        """Make two tensors' channels one and the same, in order."""
        for a, b in zip(one, other, strict=True):
            self._parents[self.root(int(a))] = self.root(int(b))

    def pin(self, tensor: str) -> None:
        """All channels of a tensor must stay."""
        if tensor in self.of:
            self.pinned.extend(map(int, self.of[tensor]))


def number_channels(model: onnx.ModelProto, kept: frozenset[str]) -> Channels:
    """Number the channels of a canonical model's tensors, axis 1 of each.

    Parameters
    ----------
    kept
        Tensors that must keep all their channels, beside the graph's outputs.
    """
    graph, channels = Graph(model), Channels()
    ranks = _ranks(model)
    for node in model.graph.node:
        _number(node, graph, channels, ranks)
    for tensor in (*(value.name for value in model.graph.output), *kept):
        channels.pin(tensor)
    return channels


def _ranks(model: onnx.ModelProto) -> dict[str, int]:
    """How many dimensions each tensor has, as far as it can be told.

    Node by node, each checked before: the onnx library ends the process on some whole graphs.
    """
    stored = model.graph.initializer
    kinds = {tensor.name: Kind(tensor.data_type, tuple(tensor.dims)) for tensor in stored}
    values = {t.name: numpy_helper.to_array(t) for t in stored if np.prod(t.dims) <= LARGE}
    for value in model.graph.input:
        tensor = value.type.tensor_type
        shape = [int(dim.dim_value) for dim in tensor.shape.dim]
        if len(shape) == 4:  # sizes that are left open may be any
            shape = [given or usual for given, usual in zip(shape, USUAL, strict=True)]
        kinds.setdefault(value.name, Kind(tensor.elem_type, tuple(shape)))
    for node in model.graph.node:
        try:
            found = infer(node, kinds, values, model.opset_import)
        except BackboneError:  # fewer operators are understood then
            continue
        kinds |= {n: kind for n, kind in zip(node.output, found, strict=True) if n and kind}
    return {name: len(kind.shape) for name, kind in kinds.items() if kind.shape is not None}


def _number(
    node: onnx.NodeProto, graph: Graph, channels: Channels, ranks: Mapping[str, int]
) -> None:
    if node.domain not in ("", "ai.onnx") or not _is_understood(node, graph, channels, ranks):
        # What it reads must stay as it is.
        for name in (*node.input, *_captured(node)):
            channels.pin(name)


def _captured(node: onnx.NodeProto) -> Iterator[str]:
    """The tensors that the graphs inside a node (of If, Loop) may read from outside."""
    for item in node.attribute:
        for inner in (item.g, *item.graphs):
            for step in inner.node:
                yield from step.input
                yield from _captured(step)


def _is_understood(
    node: onnx.NodeProto, graph: Graph, channels: Channels, ranks: Mapping[str, int]
) -> bool:
    """Number a node's output, if its operator is one that is known here."""
    if node.op_type in ("Conv", "Gemm", "MatMul"):
        layer = _layer(node, graph, ranks)
        return layer is not None and _number_layer(layer, channels)
    if node.op_type in ELEMENTWISE:
        return _number_elementwise(node, graph, channels, ranks)
    if len(node.output) != 1 or not node.input:
        return False
    if node.op_type == "Concat":
        known = all(name in channels.of for name in node.input)
        if known and attribute(node, "axis") == 1:
            channels.of[node.output[0]] = np.concatenate([channels.of[n] for n in node.input])
        return known and attribute(node, "axis") == 1
    stored = all(name in graph.initializers for name in node.input[1:] if name)
    single = node.op_type in UNARY | POOLING or node.op_type == "BatchNormalization"
    if (
        node.input[0] in channels.of
        and stored
        and (single or _averages_positions(node, graph, ranks))
    ):
        channels.of[node.output[0]] = channels.of[node.input[0]]
        return True
    return False


def _averages_positions(node: onnx.NodeProto, graph: Graph, ranks: Mapping[str, int]) -> bool:
    if node.op_type != "ReduceMean" or ranks.get(node.input[0]) != 4:
        return False
    given = attribute(node, "axes")
    if given is None and len(node.input) > 1:
        axes = graph.array(node.input[1])
        given = None if axes is None else axes.tolist()
    return given is not None and {axis % 4 for axis in given} <= {2, 3}


def _number_layer(layer: Layer, channels: Channels) -> bool:
    source, output = layer.node.input[0], layer.node.output[0]
    if layer.depthwise:
        if source not in channels.of:
            return False
        channels.of[output] = channels.of[source]
    else:
        channels.of[output] = channels.fresh(len(layer.reaches))
    channels.layers.append(layer)
    return True


def _number_elementwise(
    node: onnx.NodeProto, graph: Graph, channels: Channels, ranks: Mapping[str, int]
) -> bool:
    moving = [name for name in node.input if name in channels.of]
    output = node.output[0]
    if len(moving) == 2:
        one, other = (channels.of[name] for name in node.input)
        if len(one) != len(other) or ranks.get(node.input[0]) != ranks.get(node.input[1]):
            return False
        channels.tie(one, other)
        channels.of[output] = other
        return True
    if len(moving) == 1:
        constant = next(name for name in node.input if name != moving[0])
        if _is_per_channel(constant, len(channels.of[moving[0]]), graph, ranks.get(moving[0])):
            channels.of[output] = channels.of[moving[0]]
            return True
    return False


def _is_per_channel(constant: str, count: int, graph: Graph, rank: int | None) -> bool:
    """Whether a stored operand has one value in all, or one a channel."""
    if constant not in graph.initializers or rank is None:
        return False
    dims = list(graph.initializers[constant].dims)
    shape = [1] * (rank - len(dims)) + dims
    others = [d for axis, d in enumerate(shape) if axis != 1]
    return len(shape) == rank and shape[1] in (1, count) and all(d == 1 for d in others)


def _layer(node: onnx.NodeProto, graph: Graph, ranks: Mapping[str, int]) -> Layer | None:
    """A node as a layer, None if its form is not one that can be cut."""
    weights = graph.array(node.input[1]) if node.input[1] in graph.initializers else None
    if weights is None or weights.dtype.kind != "f":
        return None
    bias = node.input[2] if len(node.input) > 2 and node.input[2] else None
    if bias is not None and bias not in graph.initializers:
        return None
    if node.op_type == "Conv":
        return _convolution(node, weights, bias)
    if weights.ndim != 2 or ranks.get(node.input[0]) != 2:
        return None
    flipped = node.op_type == "MatMul" or not attribute(node, "transB", 0)
    matrix = weights.T if flipped else weights
    if node.op_type == "Gemm":
        stored = None if bias is None else graph.array(bias)
        factors = (attribute(node, "alpha", 1.0), attribute(node, "beta", 1.0))
        if factors != (1.0, 1.0) or attribute(node, "transA", 0):
            return None
        if stored is not None and stored.shape != (len(matrix),):
            return None
    return Layer(
        node=node,
        weights=node.input[1],
        bias=bias,
        reaches=matrix != 0,
        totals=matrix.astype(np.float64),
        padded=False,
        depthwise=False,
        flipped=flipped,
    )


def _convolution(node: onnx.NodeProto, weights: Array, bias: str | None) -> Layer | None:
    groups = attribute(node, "group", 1)
    depthwise = groups > 1 and groups == len(weights) and weights.shape[1] == 1
    if weights.ndim != 4 or (groups > 1 and not depthwise):
        return None
    padding = any(attribute(node, "pads", [0]))
    by_itself = attribute(node, "auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID")
    return Layer(
        node=node,
        weights=node.input[1],
        bias=bias,
        reaches=(weights != 0).any(axis=(2, 3)),
        totals=weights.sum(axis=(2, 3), dtype=np.float64),
        padded=padding or by_itself,
        depthwise=depthwise,
        flipped=False,
    )
