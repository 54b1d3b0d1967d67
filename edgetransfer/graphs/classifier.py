"""Finding the classifier at the end of an image network.

A classifier is the fully connected layer (a Gemm, a MatMul, or a 1x1 convolution after global
pooling) that the output is made by, or several whose answers are averaged or concatenated. All
paths from the output back are followed: an output that is partly made by something else has no
classifier that could be cut off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import onnx

from edgetransfer.graphs.graph import Graph, attribute

# What keeps the order of classes, and what moves or joins numbers.
PROBABILITIES = frozenset(["Softmax", "LogSoftmax", "Sigmoid", "ArgMax", "TopK"])
CARRYING = frozenset(
    (
        *("Identity", "Dropout", "Cast", "Flatten", "Reshape", "Squeeze", "Unsqueeze"),
        *("Transpose", "QuantizeLinear", "DequantizeLinear"),
    )
)
JOINING = frozenset(["Add", "Sub", "Mul", "Div", "Sum", "Mean", "Concat"])
AFTER_CLASSIFIER = PROBABILITIES | CARRYING | JOINING
GLOBAL_POOLING = frozenset(["GlobalAveragePool", "AveragePool", "ReduceMean", "GlobalMaxPool"])
FULLY_CONNECTED = frozenset(
    ["Gemm", "MatMul", "MatMulInteger", "QLinearMatMul", "FusedGemm", "FusedMatMul", "QGemm"]
)
# What stands between a tensor and the heads that read it without making other features of it.
BEFORE_HEADS = frozenset(
    (
        *("QuantizeLinear", "DynamicQuantizeLinear"),
        *("BatchNormalization", "Identity", "Dropout", "Cast"),
        *("Add", "Sub", "Mul", "Div"),
    )
)


@dataclass(frozen=True, kw_only=True)
class Head:
    """A fully connected layer at the end of a graph: its node and the tensor that it reads."""

    node: onnx.NodeProto
    data: str


@dataclass
class Ends:
    """Where the paths back from an output end.

    Parameters
    ----------
    heads
        Fully connected layers, in the order in which they were met.
    others
        Tensors made by anything else that no output of a classifier passes.
    scales
        Tensors whose quantisation scale a path leads to (int8 quantised as it runs).
    probabilities
        Whether a path passes a softmax or the like.
    """

    heads: list[Head] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    scales: list[str] = field(default_factory=list)
    probabilities: bool = False

    @property
    def only_heads(self) -> bool:
        """Whether every path ends in a fully connected layer."""
        return bool(self.heads) and not self.others


def ends_of(graph: Graph, output: str) -> Ends:
    """Follow every path from an output back to a fully connected layer, or to what is none."""
    ends = Ends()
    seen: set[str] = set()
    ahead = [output]
    while ahead:
        tensor = ahead.pop(0)
        if tensor in seen or tensor in graph.constants:
            continue
        seen.add(tensor)
        node = graph.producers.get(tensor)
        data = None if node is None else data_input(graph, node)
        if node is None:
            ends.others.append(tensor)
        elif node.op_type == "DynamicQuantizeLinear":
            ends.scales.append(node.input[0])
        elif is_fully_connected(graph, node):
            ends.heads.append(Head(node=node, data=node.input[0]))
        elif data is not None and is_pointwise(graph, node) and is_pooled(graph, data):
            ends.heads.append(Head(node=node, data=data))
        elif node.op_type == "ReduceMean" and data is not None and _averages(graph, data):
            ahead.append(data)
        elif node.op_type in AFTER_CLASSIFIER:
            ends.probabilities |= node.op_type in PROBABILITIES
            ahead += [data] if node.op_type == "Reshape" and data else moving_inputs(graph, node)
        else:
            ends.others.append(tensor)
    ends.others += [s for s in ends.scales if s not in {_unquantised(graph, h) for h in ends.heads}]
    return ends


def common_data(graph: Graph, heads: list[Head]) -> str | None:
    """The one tensor that all heads read, perhaps each through a normalisation of its own."""
    read = {_unquantised(graph, head) for head in heads}
    if len(read) == 1:
        return read.pop()
    origins = [list(_upstream(graph, tensor)) for tensor in sorted(read)]
    shared = [t for t in origins[0] if all(t in other for other in origins[1:])]
    return shared[0] if shared else None


def logits_of(graph: Graph, output: str) -> str:
    """What a softmax or the like at the end of a graph reads; the output itself without one."""
    tensor = logits = output
    while (node := graph.producers.get(tensor)) is not None:
        data = data_input(graph, node)
        if data is None or node.op_type not in PROBABILITIES | CARRYING:
            break
        if node.op_type in PROBABILITIES:
            logits = data
        tensor = data
    return logits


def moving_inputs(graph: Graph, node: onnx.NodeProto) -> list[str]:
    """The inputs of a node that depend on the image."""
    return [name for name in node.input if name and name not in graph.constants]


def data_input(graph: Graph, node: onnx.NodeProto) -> str | None:
    """The one input of a node that depends on the image; None if there are several."""
    if node.op_type == "Reshape":
        return str(node.input[0])  # the target shape may be computed from the input's
    moving = moving_inputs(graph, node)
    return moving[0] if len(moving) == 1 else None


def is_fully_connected(graph: Graph, node: onnx.NodeProto) -> bool:
    """Whether a node multiplies what depends on the image by a constant matrix."""
    if node.op_type not in FULLY_CONNECTED or node.input[0] in graph.constants:
        return False
    return _matrix(node) in graph.constants


def is_pointwise(graph: Graph, node: onnx.NodeProto) -> bool:
    """Whether a node is a 1x1 convolution over all channels with constant weights."""
    if node.op_type != "Conv" or attribute(node, "group", 1) != 1:
        return False
    weights = graph.array(node.input[1])
    return weights is not None and weights.ndim == 4 and weights.shape[2:] == (1, 1)


def is_pooled(graph: Graph, tensor: str) -> bool:
    """Whether only reshaping and activations stand between a tensor and a global pooling."""
    while (node := graph.producers.get(tensor)) is not None:
        if node.op_type in GLOBAL_POOLING:
            return True
        data = data_input(graph, node)
        if data is None:
            # A swish reads its own input twice.
            return any(is_pooled(graph, n) for n in node.input if n not in graph.constants)
        if node.op_type == "Conv" and not is_pointwise(graph, node):
            return False
        if node.op_type in ("MaxPool", "Concat", "BatchNormalization"):
            return False
        tensor = data
    return False


def width_of(graph: Graph, head: Head) -> tuple[int, int] | None:
    """How many numbers a head reads and makes, where its weights tell."""
    node = head.node
    if node.op_type == "Conv":
        weights = graph.array(node.input[1])
        return None if weights is None else (weights.shape[1], weights.shape[0])
    matrix = graph.array(_matrix(node))
    if matrix is None or matrix.ndim != 2:
        return None
    rows, columns = matrix.shape
    return (columns, rows) if attribute(node, "transB", 0) else (rows, columns)


def _matrix(node: onnx.NodeProto) -> str:
    """The name of a fully connected layer's weights."""
    place = 3 if node.op_type in ("QLinearMatMul", "QGemm") else 1
    return str(node.input[place]) if len(node.input) > place else ""


def _averages(graph: Graph, data: str) -> bool:
    """Whether a mean is taken over the answers of several heads, stacked before."""
    inside = ends_of(graph, data)
    return inside.only_heads and len(inside.heads) > 1


def _unquantised(graph: Graph, head: Head) -> str:
    """What a head reads, before it is quantised."""
    tensor = head.data
    while (node := graph.producers.get(tensor)) is not None:
        if node.op_type not in ("QuantizeLinear", "DynamicQuantizeLinear"):
            break
        tensor = node.input[0]
    return tensor


def _upstream(graph: Graph, tensor: str) -> Iterator[str]:
    """A tensor and those that it is made of by a scale and shift alone, nearest first."""
    yield tensor
    while (node := graph.producers.get(tensor)) is not None and node.op_type in BEFORE_HEADS:
        data = data_input(graph, node)
        if data is None:
            return
        tensor = data
        yield tensor
