"""The layers of a frozen backbone that can be pruned or refitted, and how each reads its input."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgetransfer.errors import BackboneError
from edgetransfer.graphs.graph import Graph, attribute, dims_of
from edgetransfer.graphs.padding import same_padding
from edgetransfer.graphs.sparsity import quantised_node
from edgetransfer.sparsify.surroundings import (
    BiasHome,
    Float64Array,
    bias_home,
    clipped,
    gain_of,
    only_reader,
)

__all__ = ["Float64Array", "Layer", "all_layers", "find_layers"]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A 2-D convolution or a fully connected layer.

    In matrix form its weights are (groups, rows, columns): each output channel is a row, and a
    row's columns are the weights over one patch of its group's input. Where a batch-norm follows,
    rows are in units of what that makes of them, as if it were folded in: errors of channels, and
    scores of their weights, can be compared.

    Parameters
    ----------
    name
        Of its weights.
    node
        Its position among the graph's nodes.
    operator
        ``Conv``, ``Gemm`` or ``MatMul``.
    input, output
        The tensors that it reads and makes.
    bias
        The initializer that shifts its output: its own bias, the mean of the batch-norm behind
        it, or one that is not there yet; None where it cannot have any.
    bias_home
        Which of these it is.
    shape
        Of its weights as stored.
    groups
        Of a convolution; 1 otherwise.
    transposed
        Whether the weights are stored (columns, rows).
    strides, pads, dilations
        Of a convolution; pads are top, left, bottom, right.
    lower, upper
        (groups * rows,): outputs below or above these make no difference to what follows, because
        an activation function clips them there; infinite where none does.
    norm
        The batch-norm that alone reads the output; None if there is none.
    gain
        (groups * rows,): what that multiplies channels by, without sign; above 0.
    prunable
        False for the first convolution and depthwise ones, which are refitted only.
    """

    name: str
    node: int
    operator: str
    input: str
    output: str
    bias: str | None
    bias_home: BiasHome
    shape: tuple[int, ...]
    groups: int = 1
    transposed: bool = False
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)
    lower: Float64Array
    upper: Float64Array
    norm: str | None
    prunable: bool
    gain: Float64Array | float = 1.0

    @property
    def scales(self) -> Float64Array:
        """The gain of every row, (groups, rows, 1)."""
        shape = (self.groups, self.rows, 1)
        return np.broadcast_to(self.gain, self.groups * self.rows).reshape(shape)

    @property
    def rows(self) -> int:
        """Output channels of one group."""
        return (self.shape[1] if self.transposed else self.shape[0]) // self.groups

    @property
    def columns(self) -> int:
        """Weights of one output channel."""
        if self.transposed:
            return self.shape[0]
        return int(np.prod(self.shape[1:]))

    @property
    def size(self) -> int:
        """How many weights there are."""
        return int(np.prod(self.shape))

    @property
    def kernel(self) -> tuple[int, int]:
        """Height and width of a convolution's filters; 1, 1 for other layers."""
        return (self.shape[2], self.shape[3]) if self.operator == "Conv" else (1, 1)

    def to_matrix(self, weights: NDArray[np.float32]) -> Float64Array:
        """Weights as stored to (groups, rows, columns), float64."""
        stored = weights.T if self.transposed else weights
        matrix = stored.astype(np.float64).reshape(self.groups, self.rows, self.columns)
        return matrix * self.scales

    def from_matrix(self, matrix: Float64Array) -> NDArray[np.float32]:
        """(groups, rows, columns) to weights as stored, float32."""
        flat = (matrix / self.scales).astype(np.float32)
        if self.transposed:
            return np.ascontiguousarray(flat.reshape(-1, self.columns).T)
        return flat.reshape(self.shape)


def find_layers(model: onnx.ModelProto, streamed: Container[str] | None = None) -> list[Layer]:
    """The layers of a frozen backbone, in graph order.

    Layers whose weights are shared, computed, or read in a form that is not known are left out.

    Parameters
    ----------
    streamed
        The tensors in which pictures can be told apart; layers between others are left out. All
        if None.

    Raises
    ------
    BackboneError
        If the graph is quantised, or no layer of it can be pruned.
    """
    quantised = quantised_node(model)
    if quantised is not None:
        raise BackboneError(
            f"the graph is quantised ({quantised.op_type}, making {quantised.output[0]!r}): "
            "sparsify the float32 model that it was made from"
        )
    found = [
        layer
        for layer in all_layers(model)
        if streamed is None or (layer.input in streamed and layer.output in streamed)
    ]
    if not any(layer.prunable for layer in found):
        raise BackboneError(
            "no layer of the graph can be pruned: there is no 2-D convolution or fully connected "
            "layer with float32 weights of its own beside the first and the depthwise ones"
        )
    return found


def all_layers(model: onnx.ModelProto) -> list[Layer]:
    """Every layer whose weights and surroundings are understood, in graph order."""
    graph = Graph(model)
    found = []
    for position, node in enumerate(model.graph.node):
        layer = None
        if node.op_type == "Conv":
            layer = _convolution(graph, position, node)
        elif node.op_type in ("Gemm", "MatMul"):
            layer = _fully_connected(graph, position, node)
        if layer is not None:
            found.append(layer)
    return found


def _own_weights(graph: Graph, node: onnx.NodeProto) -> NDArray[np.float32] | None:
    name = node.input[1]
    tensor = graph.initializers.get(name)
    if tensor is None or tensor.data_type != onnx.TensorProto.FLOAT:
        return None
    if len(graph.consumers[name]) != 1 or node.input[0] in graph.constants:
        return None
    return np.asarray(numpy_helper.to_array(tensor), np.float32)


def _convolution(graph: Graph, position: int, node: onnx.NodeProto) -> Layer | None:
    weights = _own_weights(graph, node)
    if weights is None or weights.ndim != 4:
        return None
    groups = int(attribute(node, "group", 1))
    strides = _pair(attribute(node, "strides", [1, 1]))
    dilations = _pair(attribute(node, "dilations", [1, 1]))
    pads = _pads(graph, node, weights.shape[2:], strides, dilations)
    if pads is None:
        return None
    first = node.input[0] == graph.inputs[0].name
    depthwise = groups > 1 and weights.shape[1] == 1
    return _with_surroundings(
        graph,
        position,
        node,
        weights,
        groups=groups,
        strides=strides,
        pads=pads,
        dilations=dilations,
        prunable=not (first or depthwise),
    )


def _fully_connected(graph: Graph, position: int, node: onnx.NodeProto) -> Layer | None:
    weights = _own_weights(graph, node)
    plain = attribute(node, "alpha", 1.0) == 1 and attribute(node, "beta", 1.0) == 1
    if weights is None or weights.ndim != 2 or not plain or attribute(node, "transA", 0):
        return None
    return _with_surroundings(
        graph,
        position,
        node,
        weights,
        transposed=not attribute(node, "transB", 0),
        prunable=True,
    )


def _pads(
    graph: Graph,
    node: onnx.NodeProto,
    kernel: tuple[int, ...],
    strides: tuple[int, int],
    dilations: tuple[int, int],
) -> tuple[int, int, int, int] | None:
    """Padding at the top, left, bottom and right; None where it cannot be told."""
    automatic = attribute(node, "auto_pad", b"NOTSET")
    if automatic == b"NOTSET":
        top, left, bottom, right = attribute(node, "pads", [0, 0, 0, 0])
        return int(top), int(left), int(bottom), int(right)
    if automatic == b"VALID":
        return 0, 0, 0, 0
    known = {v.name: dims_of(v) for v in (*graph.proto.value_info, *graph.proto.input)}
    sides = known.get(node.input[0], [])[2:]
    before, after = [], []
    for side, width, stride, dilation in zip(sides, kernel, strides, dilations, strict=False):
        if side is None:
            return None
        reach = (width - 1) * dilation + 1
        low, high = same_padding(side, reach, stride, upper=automatic == b"SAME_UPPER")
        before.append(low)
        after.append(high)
    if len(before) != 2:
        return None
    return before[0], before[1], after[0], after[1]


def _pair(values: list[int]) -> tuple[int, int]:
    return int(values[0]), int(values[1])


def _with_surroundings(
    graph: Graph,
    position: int,
    node: onnx.NodeProto,
    weights: NDArray[np.float32],
    *,
    prunable: bool,
    groups: int = 1,
    transposed: bool = False,
    strides: tuple[int, int] = (1, 1),
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilations: tuple[int, int] = (1, 1),
) -> Layer | None:
    output = node.output[0]
    channels = weights.shape[1] if transposed else weights.shape[0]
    norm = only_reader(graph, output, "BatchNormalization")
    bias, home = bias_home(graph, node, norm, channels)
    if home == "none" and len(node.input) > 2 and node.input[2]:
        return None  # what is added to its output belongs to another layer too
    lower, upper = clipped(graph, output, norm, channels)
    gain = gain_of(graph, norm)
    return Layer(
        name=node.input[1],
        node=position,
        operator=node.op_type,
        input=node.input[0],
        output=output,
        bias=bias,
        bias_home=home,
        shape=tuple(weights.shape),
        groups=groups,
        transposed=transposed,
        strides=strides,
        pads=pads,
        dilations=dilations,
        lower=lower * gain,
        upper=upper * gain,
        gain=gain,
        norm=norm.output[0] if norm is not None else None,
        prunable=prunable,
    )
