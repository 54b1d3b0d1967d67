"""A plan while it is made: what each name of the graph stands for in it.

A batch normalisation or scale is a pointwise convolution here, an activation an addition of
nothing, a padding a copy; what has been flattened is read by a convolution whose kernel is the
whole image. What only looks at a tensor in another way is the same tensor of the plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from edgetransfer.engines.sparse.constants import (
    attributes_of,
    evaluate,
    initial_constants,
)
from edgetransfer.engines.sparse.plan import Kind, Operator, Plan, Shape
from edgetransfer.errors import EngineError
from edgetransfer.graphs.graph import Array, opset_of

Attributes = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Value:
    """What a name of the graph stands for: a tensor of the plan.

    Parameters
    ----------
    tensor
        Its number.
    flat
        Whether the graph sees it as (batch, features).
    last
        Whether the graph sees its channels last.
    """

    tensor: int
    flat: bool = False
    last: bool = False


class Lowering:
    """The plan of a graph, while it is made."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph, self.opset = model.graph, opset_of(model)
        self.plan = Plan()
        self.constants = initial_constants(self.graph)
        self.values: dict[str, Value] = {}
        self.nodes = _needed_nodes(self.graph)
        self.batch = self._input()

    def _input(self) -> int:
        inputs = [i for i in self.graph.input if i.name not in self.constants]
        if len(inputs) != 1 or len(self.graph.output) != 1:
            raise EngineError("it takes graphs of one input and one output")
        dims = [d.dim_value for d in inputs[0].type.tensor_type.shape.dim]
        if len(dims) != 4 or min(dims) < 1:
            raise EngineError("its input must be a batch of images of a fixed shape")
        batch, *shape = dims
        self.plan.input = self.plan.tensor((shape[0], shape[1], shape[2]))
        self.values[inputs[0].name] = Value(tensor=self.plan.input)
        return int(batch)

    def shape(self, value: Value) -> Shape:
        """Channels, height and width of a value."""
        return self.plan.shapes[value.tensor]

    def full_shape(self, value: Value) -> list[int]:
        """The shape that the graph sees."""
        channels, height, width = self.shape(value)
        if value.flat:
            return [self.batch, channels * height * width]
        if value.last:
            return [self.batch, height, width, channels]
        return [self.batch, channels, height, width]

    def value(self, node: onnx.NodeProto, index: int = 0) -> Value:
        """A node's input that depends on the image."""
        name = node.input[index]
        if name not in self.values:
            raise EngineError(f"{node.op_type} takes {name!r} where an image is expected")
        if self.values[name].last:
            raise EngineError("it computes with channels first alone")
        return self.values[name]

    def constant(self, node: onnx.NodeProto, index: int) -> Array | None:
        """A node's constant input, or None where it has none.

        Raises
        ------
        EngineError
            If that input depends on the image.
        """
        if index >= len(node.input) or not node.input[index]:
            return None
        if node.input[index] not in self.constants:
            raise EngineError(f"{node.op_type} has weights that depend on the image")
        return self.constants[node.input[index]]

    def emit(self, operator: Operator, *, flat: bool = False) -> Value:
        """Append an operator; what it writes, as a value."""
        return Value(tensor=self.plan.add(operator).out, flat=flat)

    def by_channel(self, value: Value, constant: Array) -> Array:
        """A constant that spreads along channels alone, as (channels,) or (1,).

        Raises
        ------
        EngineError
            If it differs within a channel.
        """
        shape, axes = self.shape(value), 2 if value.flat else 4
        padded = constant.reshape((1,) * (axes - constant.ndim) + constant.shape)
        if padded.ndim == axes and constant.size == 1:
            return constant.reshape(1)
        by_channel = not value.flat or shape[1:] == (1, 1)
        if padded.ndim == axes and padded.shape[1] == constant.size == shape[0] and by_channel:
            return constant.reshape(-1)
        raise EngineError(f"a constant of {constant.shape} is not one number for each channel")

    def pointwise(self, value: Value, scale: Array, shift: Array) -> Value:
        """Each channel times a number plus a number."""
        shape = self.shape(value)
        weights = np.broadcast_to(np.asarray(scale, np.float64), shape[:1]).reshape(-1, 1, 1, 1)
        bias = np.broadcast_to(np.asarray(shift, np.float64), shape[:1])
        return self.emit(
            Operator(
                kind=Kind.CONVOLUTION, source=value.tensor, out=self.plan.tensor(shape),
                groups=shape[0], weights=weights, bias=bias,
            ),
            flat=value.flat,
        )  # fmt: skip

    def is_image_free(self, node: onnx.NodeProto) -> bool:
        """Work a node out if it needs no image; shapes of images are known too."""
        if node.op_type == "Shape" and node.input[0] in self.values:
            shape = np.array(self.full_shape(self.values[node.input[0]]), np.int64)
            options = attributes_of(node)
            self.constants[node.output[0]] = shape[options.get("start", 0) : options.get("end")]
            return True
        if not all(name in self.constants for name in node.input if name):
            return False
        inputs = [self.constants[name] if name else None for name in node.input]
        made = evaluate(node, inputs, self.opset)
        self.constants.update(zip(node.output, made, strict=False))
        return True


def _needed_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that the outputs depend on, in the order of the graph."""
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    return kept[::-1]
