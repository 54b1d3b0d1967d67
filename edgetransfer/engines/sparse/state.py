"""A plan while it is made: what each name of the graph stands for in it.

A batch normalisation or scale is a pointwise convolution here, an activation an addition of
nothing, a padding a copy; what has been flattened is read by a convolution whose kernel is the
whole image. What only looks at a tensor in another way is the same tensor of the plan, seen by
another view (`views.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from edgetransfer.engines.sparse.constants import (
    attributes_of,
    evaluate,
    initial_constants,
)
from edgetransfer.engines.sparse.plan import Integers, Kind, Operator, Plan, Shape
from edgetransfer.engines.sparse.relaying import (
    Layout,
    Reference,
    laid_out,
    references,
    relay,
)
from edgetransfer.engines.sparse.views import (
    Axis,
    View,
    flat_view,
    image_view,
    is_canonical,
    sizes,
    without_batch,
)
from edgetransfer.errors import EngineError
from edgetransfer.graphs.graph import Array, opset_of

Attributes = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Value:
    """What a name of the graph stands for: a tensor of the plan, and how the graph sees it.

    Parameters
    ----------
    tensor
        Its number.
    view
        What each axis of the graph is made of.
    flat
        Whether the graph sees (batch, features) in the order of the plan.
    """

    tensor: int
    view: View
    flat: bool


class Lowering:
    """The plan of a graph, while it is made."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph, self.opset = model.graph, opset_of(model)
        self.plan = Plan()
        self.constants = initial_constants(self.graph)
        self.values: dict[str, Value] = {}
        self.nodes = _needed_nodes(self.graph)
        self._input()

    def _input(self) -> None:
        inputs = [i for i in self.graph.input if i.name not in self.constants]
        if len(inputs) != 1 or len(self.graph.output) != 1:
            raise EngineError("it takes graphs of one input and one output")
        dims = [d.dim_value for d in inputs[0].type.tensor_type.shape.dim]
        if len(dims) != 4 or min(dims) < 1:
            raise EngineError("its input must be a batch of images of a fixed shape")
        batch, *shape = dims
        self.plan.input = self.plan.tensor((shape[0], shape[1], shape[2]))
        self.batch = int(batch)
        self.values[inputs[0].name] = self.made(self.plan.input)

    def made(self, tensor: int, view: View | None = None, *, flat: bool = False) -> Value:
        """A value; an image, or flat, where no view is given."""
        shape = self.plan.shapes[tensor]
        as_flat = flat_view(self.batch, shape)
        if view is None:
            view = as_flat if flat else image_view(self.batch, shape)
        return Value(tensor=tensor, view=view, flat=is_canonical(view, as_flat))

    def shape(self, value: Value) -> Shape:
        """Channels, height and width of a value."""
        return self.plan.shapes[value.tensor]

    def full_shape(self, value: Value) -> list[int]:
        """The shape that the graph sees."""
        return sizes(value.view)

    def any_value(self, node: onnx.NodeProto, index: int = 0) -> Value:
        """A node's input that depends on the image, however the graph sees it."""
        name = node.input[index]
        if name not in self.values:
            raise EngineError(f"{node.op_type} takes {name!r} where an image is expected")
        return self.values[name]

    def value(self, node: onnx.NodeProto, index: int = 0) -> Value:
        """A node's input that depends on the image, as an image or flat."""
        return self.canonical(self.any_value(node, index))

    def canonical(self, value: Value) -> Value:
        """A value moved to where the plan has what the graph sees: an image, or flat.

        Raises
        ------
        EngineError
            If the graph sees neither.
        """
        if value.flat or is_canonical(value.view, image_view(self.batch, self.shape(value))):
            return value
        view = value.view
        apart = [d for d in range(1, len(view)) if without_batch(view[d]) != view[d]]
        if len(view) not in (2, 4) or apart or without_batch(view[0]):
            raise EngineError(f"it takes images or features, not {self.full_shape(value)}")
        axes = [references(view, [d]) for d in range(1, len(view))]
        axes += [[], []][: 3 - len(axes)]
        return self.relaid(value, (axes[0], axes[1], axes[2]))

    def relaid(
        self, value: Value, layout: Layout, picks: Mapping[Reference, Integers] | None = None
    ) -> Value:
        """A value whose factors lie in another order; see `relay`."""
        return self.made(*relay(self.plan, value.tensor, value.view, layout, picks or {}))

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
        return self.made(self.plan.add(operator).out, flat=flat)

    def emit_as(self, operator: Operator, like: Value) -> Value:
        """Append an operator that keeps the places of numbers; its value is seen like another."""
        return self.made(self.plan.add(operator).out, like.view)

    def spread(self, value: Value, constant: Array) -> Array:
        """A constant that spreads to a value, as the plan has that: (channels or 1, rows, columns).

        One number for each channel, or for all, is (channels or 1, 1, 1).

        Raises
        ------
        EngineError
            If it is larger than the value, or differs from image to image.
        """
        shape = self.full_shape(value)
        if constant.size == 1 and constant.ndim <= len(shape):
            return constant.reshape(1, 1, 1)
        try:
            wide = constant.reshape((1,) * (len(shape) - constant.ndim) + constant.shape)
            np.broadcast_to(wide, shape)
        except ValueError as error:
            raise EngineError(f"a constant of {constant.shape} does not fit {shape}") from error
        for d, dimension in enumerate(value.view):
            if without_batch(dimension) == dimension or wide.shape[d] == 1:
                continue
            images, *others = (factor.size for factor in dimension)
            if dimension[0].axis is not Axis.BATCH:
                raise EngineError("a constant differs from image to image")
            rest = int(np.prod(others))
            wide = wide.reshape(*wide.shape[:d], images, rest, *wide.shape[d + 1 :])
            if (wide != wide.take([0], axis=d)).any():
                raise EngineError("a constant differs from image to image")
            wide = wide.take(0, axis=d)
        return laid_out(wide, value.view, self.shape(value))

    def constant_tensor(self, numbers: Array) -> int:
        """A tensor that is the same for every image, of (channels, rows, columns)."""
        channels, rows, columns = numbers.shape
        out = self.plan.tensor((channels, rows, columns))
        self.plan.add(
            Operator(kind=Kind.CONSTANT, source=self.plan.input, out=out, weights=numbers)
        )
        return out

    def pointwise(self, value: Value, scale: Array, shift: Array) -> Value:
        """Each channel of the plan times a number plus a number."""
        shape = self.shape(value)
        weights = np.broadcast_to(np.asarray(scale, np.float64), shape[:1]).reshape(-1, 1, 1, 1)
        bias = np.broadcast_to(np.asarray(shift, np.float64), shape[:1])
        return self.emit_as(
            Operator(
                kind=Kind.CONVOLUTION, source=value.tensor, out=self.plan.tensor(shape),
                groups=shape[0], weights=weights, bias=bias,
            ),
            value,
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
