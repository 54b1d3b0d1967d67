"""Lowering of convolutions, matrix products, scales, sums and activations."""

from __future__ import annotations

import numpy as np
import onnx

from edgetransfer.engines.sparse.plan import Activation, Kind, Operator, Window
from edgetransfer.engines.sparse.state import Attributes, Lowering, Value
from edgetransfer.engines.sparse.windows import window_of
from edgetransfer.errors import EngineError
from edgetransfer.graphs.graph import Array


def convolution(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """A convolution."""
    value, weights = low.value(node), low.constant(node, 1)
    if weights is None or weights.ndim != 4:
        raise EngineError("it knows convolutions of two dimensions alone")
    groups = int(a.get("group", 1))
    channels, *size = low.shape(value)
    if weights.shape[1] * groups != channels or weights.shape[0] % groups:
        raise EngineError(f"weights {weights.shape} do not fit {channels} channels")
    window, sides = window_of(a, (size[0], size[1]), (weights.shape[2], weights.shape[3]))
    bias = low.constant(node, 2)
    if bias is None:
        bias = np.zeros(weights.shape[0], np.float32)
    if bias.shape != weights.shape[:1]:
        raise EngineError(f"a bias {bias.shape} does not fit weights {weights.shape}")
    out = low.plan.tensor((weights.shape[0], *sides))
    return low.emit(
        Operator(
            kind=Kind.CONVOLUTION, source=value.tensor, out=out, window=window, groups=groups,
            weights=weights.astype(np.float32), bias=bias.astype(np.float32), name=node.name,
        )
    )  # fmt: skip


def matrix_product(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Gemm and MatMul, as a convolution of the whole image."""
    value, matrix = low.value(node), low.constant(node, 1)
    if not value.flat or matrix is None or matrix.ndim != 2 or a.get("transA"):
        raise EngineError("it knows products of flat features with a matrix alone")
    rows = matrix if a.get("transB") else matrix.T
    shape = low.shape(value)
    if rows.shape[1] != np.prod(shape):
        raise EngineError(f"a matrix {matrix.shape} does not fit {np.prod(shape)} features")
    weights = (rows * np.float32(a.get("alpha", 1.0))).astype(np.float32)
    bias = np.zeros(len(rows), np.float32)
    added = low.constant(node, 2)
    if added is not None:
        if added.shape not in ((), (1,), (1, 1), (len(rows),), (1, len(rows))):
            raise EngineError(f"a constant {added.shape} is not one number for each feature")
        bias = bias + np.float32(a.get("beta", 1.0)) * added.reshape(-1).astype(np.float32)
    return low.emit(
        Operator(
            kind=Kind.CONVOLUTION, source=value.tensor, out=low.plan.tensor((len(rows), 1, 1)),
            weights=weights.reshape(len(rows), *shape), bias=bias, name=node.name,
            window=Window(kernel=shape[1:]),
        ),
        flat=True,
    )  # fmt: skip


def normalisation(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """BatchNormalization by its running statistics."""
    if a.get("training_mode"):
        raise EngineError("it is in training mode: its statistics are those of each batch")
    scale, shift, mean, variance = (low.constant(node, i) for i in range(1, 5))
    if scale is None or shift is None or mean is None or variance is None:
        raise EngineError("it misses its statistics")
    factor = scale.astype(np.float64) / np.sqrt(
        variance.astype(np.float64) + a.get("epsilon", 1e-5)
    )
    return low.pointwise(low.value(node), factor, shift - mean * factor)


def arithmetic(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Add, Sub, Mul and Div of two tensors, or of one with a number for each channel."""
    known = [i for i, name in enumerate(node.input) if name in low.constants]
    if not known:
        if node.op_type not in ("Add", "Sum"):
            raise EngineError("it knows this of an image and constants alone")
        return _sum(low, node)
    if len(node.input) != 2 or (known == [0] and node.op_type == "Div"):
        raise EngineError("it knows this of an image and one constant alone")
    value = low.value(node, 1 - known[0])
    numbers = _by_channel(low, value, low.constants[node.input[known[0]]].astype(np.float64))
    one, zero = np.ones(1), np.zeros(1)
    match node.op_type:
        case "Mul":
            return low.pointwise(value, numbers, zero)
        case "Div":
            return low.pointwise(value, 1 / numbers, zero)
        case "Sub" if known == [0]:
            return low.pointwise(value, -one, numbers)
        case "Sub":
            return low.pointwise(value, one, -numbers)
    return low.pointwise(value, one, numbers)


def _by_channel(low: Lowering, value: Value, constant: Array) -> Array:
    """A constant that broadcasts along channels alone, as (channels,) or (1,)."""
    shape, axes = low.shape(value), 2 if value.flat else 4
    padded = constant.reshape((1,) * (axes - constant.ndim) + constant.shape)
    if padded.ndim == axes and constant.size == 1:
        return constant.reshape(1)
    by_channel = not value.flat or shape[1:] == (1, 1)
    if padded.ndim == axes and padded.shape[1] == constant.size == shape[0] and by_channel:
        return constant.reshape(-1)
    raise EngineError(f"a constant of shape {constant.shape} is not one number for each channel")


def _sum(low: Lowering, node: onnx.NodeProto) -> Value:
    total, *others = (low.value(node, i) for i in range(len(node.input)))
    for value in others:
        if (low.shape(value), value.flat) != (low.shape(total), total.flat):
            raise EngineError("it does not add tensors of different shapes")
        out = low.plan.tensor(low.shape(total))
        added = Operator(kind=Kind.ADD, source=total.tensor, second=value.tensor, out=out)
        total = low.emit(added, flat=total.flat)
    return total


def _activated(
    low: Lowering, node: onnx.NodeProto, kind: Activation, low_bound: float = 0, high: float = 0
) -> Value:
    value = low.value(node)
    return low.emit(
        Operator(
            kind=Kind.ADD, source=value.tensor, out=low.plan.tensor(low.shape(value)),
            activation=kind, low=low_bound, high=high,
        ),
        flat=value.flat,
    )  # fmt: skip


def relu(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Relu."""
    return _activated(low, node, Activation.RELU)


def clip(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Clip, with bounds as attributes or constants."""
    bounds = []
    for index, (name, default) in enumerate((("min", -np.inf), ("max", np.inf)), start=1):
        given = low.constant(node, index)
        bounds.append(float(a.get(name, default)) if given is None else float(given.reshape(-1)[0]))
    if bounds == [0.0, np.inf]:
        return _activated(low, node, Activation.RELU)
    return _activated(low, node, Activation.CLIP, bounds[0], bounds[1])


def leaky_relu(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """LeakyRelu, of slopes from 0 to 1."""
    slope = float(a.get("alpha", 0.01))
    if not 0 <= slope <= 1:
        raise EngineError(f"a slope of {slope} is not in 0 to 1")
    return _activated(low, node, Activation.LEAKY, slope)


def hard_swish(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """HardSwish."""
    return _activated(low, node, Activation.HARD_SWISH)
