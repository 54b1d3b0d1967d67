"""Known values in another shape, order or selection."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from edgetransfer.graphs.folding.bounds import Inputs, axes_of, check_fits, needed
from edgetransfer.graphs.graph import Array, attribute

MOST_AXES = 32


def _reshaped(node: onnx.NodeProto, inputs: Inputs, opset: int) -> list[Array] | None:
    if opset < 5:
        return None
    x, wanted = needed(inputs, 2)
    shape = [int(d) for d in wanted.reshape(-1)]
    if not attribute(node, "allowzero", 0):
        shape = [x.shape[i] if d == 0 and i < x.ndim else d for i, d in enumerate(shape)]
    return [x.reshape(shape)]


def _unsqueezed(node: onnx.NodeProto, inputs: Inputs, opset: int) -> list[Array]:
    (x,) = needed(inputs, 1)
    axes = axes_of(node, inputs) or []
    if len(axes) + x.ndim > MOST_AXES:
        raise ValueError("it has too many axes")
    return [np.expand_dims(x, tuple(axes))]


def _squeezed(node: onnx.NodeProto, inputs: Inputs, opset: int) -> list[Array]:
    (x,) = needed(inputs, 1)
    axes = axes_of(node, inputs)
    return [np.squeeze(x, None if axes is None else tuple(axes))]


def _transposed(node: onnx.NodeProto, inputs: Inputs, opset: int) -> list[Array]:
    (x,) = needed(inputs, 1)
    return [np.transpose(x, attribute(node, "perm"))]


def _flattened(node: onnx.NodeProto, inputs: Inputs, opset: int) -> list[Array]:
    (x,) = needed(inputs, 1)
    axis = attribute(node, "axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return [x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))]


def _sliced(node: onnx.NodeProto, inputs: Inputs, opset: int) -> list[Array]:
    (x,) = needed(inputs, 1)
    if opset < 10:
        starts, ends = attribute(node, "starts"), attribute(node, "ends")
        axes, steps = attribute(node, "axes"), None
    else:
        starts, ends = (array.reshape(-1).tolist() for array in needed(inputs[1:], 2))
        axes = axes_of(node, inputs, 3)
        steps = axes_of(node, inputs, 4)
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    index: list[slice] = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        stop = None if step < 0 and end < -x.shape[axis] else int(end)
        index[axis] = slice(int(start), stop, int(step))
    return [x[tuple(index)]]


def _gathered(node: onnx.NodeProto, inputs: Inputs, opset: int) -> list[Array]:
    x, indices = needed(inputs, 2)
    axis = attribute(node, "axis", 0)
    check_fits((x.size // max(1, x.shape[axis]), indices.size))
    return [np.take(x, indices, axis=axis)]


def _joined(node: onnx.NodeProto, inputs: Inputs, opset: int) -> list[Array]:
    arrays = needed(inputs, len(inputs))
    check_fits((sum(array.size for array in arrays),))
    return [np.concatenate(arrays, axis=attribute(node, "axis", 1))]


def _expanded(node: onnx.NodeProto, inputs: Inputs, opset: int) -> list[Array]:
    x, shape = needed(inputs, 2)
    wanted = tuple(int(d) for d in shape.reshape(-1))
    check_fits(wanted)
    whole = np.broadcast_shapes(x.shape, wanted)
    check_fits(whole)
    return [np.array(np.broadcast_to(x, whole))]


def _tiled(node: onnx.NodeProto, inputs: Inputs, opset: int) -> list[Array]:
    x, repeats = needed(inputs, 2)
    times = [int(n) for n in repeats.reshape(-1)]
    check_fits([d * n for d, n in zip(x.shape, times, strict=True)])
    return [np.tile(x, times)]


def _filled(node: onnx.NodeProto, inputs: Inputs, opset: int) -> list[Array]:
    (shape,) = needed(inputs, 1)
    wanted = tuple(int(d) for d in shape.reshape(-1))
    check_fits(wanted)
    tensor = attribute(node, "value")
    value = np.zeros(1, np.float32) if tensor is None else numpy_helper.to_array(tensor)
    return [np.full(wanted, value.reshape(-1)[0], value.dtype)]


def _range(node: onnx.NodeProto, inputs: Inputs, opset: int) -> list[Array]:
    start, limit, delta = (array.reshape(-1)[0] for array in needed(inputs, 3))
    if delta == 0:
        raise ValueError("it counts in steps of zero")
    count = max(0, math.ceil((float(limit) - float(start)) / float(delta)))
    check_fits((count,))
    return [np.asarray(start + np.arange(count) * delta, start.dtype)]


def _shape(node: onnx.NodeProto, inputs: Inputs, opset: int) -> list[Array]:
    (x,) = needed(inputs, 1)
    return [shape_value(node, x.shape)]


def shape_value(node: onnx.NodeProto, shape: tuple[int, ...]) -> Array:
    """What a ``Shape`` or ``Size`` node makes of a tensor of that shape."""
    if node.op_type == "Size":
        return np.asarray(math.prod(shape), np.int64)
    start, end = attribute(node, "start", 0), attribute(node, "end")
    return np.asarray(shape[start:end], np.int64)


def _passed(node: onnx.NodeProto, inputs: Inputs, opset: int) -> list[Array]:
    return needed(inputs, 1)


REARRANGING: dict[str, Any] = {
    "Identity": _passed,
    "Reshape": _reshaped,
    "Unsqueeze": _unsqueezed,
    "Squeeze": _squeezed,
    "Transpose": _transposed,
    "Flatten": _flattened,
    "Slice": _sliced,
    "Gather": _gathered,
    "Concat": _joined,
    "Expand": _expanded,
    "Tile": _tiled,
    "ConstantOfShape": _filled,
    "Range": _range,
    "Shape": _shape,
    "Size": _shape,
}
