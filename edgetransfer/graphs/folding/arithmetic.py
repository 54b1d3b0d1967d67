"""Arithmetic on known values: elementwise, reductions, products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from edgetransfer.graphs.folding.bounds import Inputs, axes_of, check_fits, needed
from edgetransfer.graphs.graph import Array, attribute


def _unary(function: Callable[[Array], Array]) -> Any:
    def run(node: onnx.NodeProto, inputs: Inputs, opset: int) -> list[Array]:
        (x,) = needed(inputs, 1)
        result = function(x)
        return [result.astype(x.dtype) if result.dtype.kind == "f" else result]

    return run


def _binary(function: Callable[[onnx.NodeProto, Array, Array], Array]) -> Any:
    def run(node: onnx.NodeProto, inputs: Inputs, opset: int) -> list[Array] | None:
        if opset < 7:
            return None  # broadcast along an axis that an attribute names
        a, b = needed(inputs, 2)
        if a.dtype != b.dtype and node.op_type != "Pow":
            raise ValueError(f"it mixes {a.dtype} and {b.dtype}")
        check_fits(np.broadcast_shapes(a.shape, b.shape))
        return [function(node, a, b)]

    return run


def _folded(function: Callable[[Array, Array], Array]) -> Any:
    def run(node: onnx.NodeProto, inputs: Inputs, opset: int) -> list[Array]:
        result, *others = needed(inputs, max(1, len(inputs)))
        for other in others:
            check_fits(np.broadcast_shapes(result.shape, other.shape))
            result = function(result, other)
        return [result]

    return run


def _divided(node: onnx.NodeProto, a: Array, b: Array) -> Array:
    if a.dtype.kind in "iu":
        if (b == 0).any():
            raise ValueError("it divides by zero")
        quotient = np.abs(a) // np.abs(b)  # the standard rounds to zero, numpy down
        return np.asarray(quotient * np.sign(a) * np.sign(b), a.dtype)
    return np.asarray(a / b)


def _power(node: onnx.NodeProto, a: Array, b: Array) -> Array:
    if a.dtype.kind in "iu" and b.dtype.kind in "iu" and (b < 0).any():
        raise ValueError("it takes a whole number to a negative power")
    return np.asarray(np.power(a, b), a.dtype)


def _remainder(node: onnx.NodeProto, a: Array, b: Array) -> Array:
    if a.dtype.kind in "iu" and (b == 0).any():
        raise ValueError("it divides by zero")
    return np.asarray(np.fmod(a, b) if attribute(node, "fmod", 0) else np.mod(a, b))


def _reduced(function: Callable[..., Array]) -> Any:
    def run(node: onnx.NodeProto, inputs: Inputs, opset: int) -> list[Array]:
        (x,) = needed(inputs, 1)
        axes = axes_of(node, inputs)
        if not axes and attribute(node, "noop_with_empty_axes", 0):
            return [x]
        over = tuple(axes) if axes else None
        result = function(x, axis=over, keepdims=bool(attribute(node, "keepdims", 1)))
        return [np.asarray(result, x.dtype)]

    return run


def _cast(node: onnx.NodeProto, inputs: Inputs, opset: int) -> list[Array] | None:
    (x,) = needed(inputs, 1)
    to = int(attribute(node, "to", 0))
    if to in (onnx.TensorProto.STRING, onnx.TensorProto.BFLOAT16) or to > 16:
        return None
    kind = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(to))
    if kind.kind in "iu" and x.dtype.kind == "f" and not np.isfinite(x).all():
        raise ValueError("it makes a whole number of an infinite one")
    return [x.astype(kind)]


def _clipped(node: onnx.NodeProto, inputs: Inputs, opset: int) -> list[Array]:
    (x,) = needed(inputs, 1)
    limits = [attribute(node, "min"), attribute(node, "max")]
    if opset >= 11:
        limits = [*inputs[1:3], None, None][:2]
    low, high = limits
    x = x if low is None else np.maximum(x, np.asarray(low, x.dtype))
    return [x if high is None else np.minimum(x, np.asarray(high, x.dtype))]


def _chosen(node: onnx.NodeProto, inputs: Inputs, opset: int) -> list[Array]:
    condition, a, b = needed(inputs, 3)
    check_fits(np.broadcast_shapes(condition.shape, a.shape, b.shape))
    return [np.where(condition.astype(bool), a, b)]


def _product(node: onnx.NodeProto, inputs: Inputs, opset: int) -> list[Array]:
    a, b = needed(inputs, 2)
    if a.ndim and b.ndim:
        rows = a.shape[-2] if a.ndim > 1 else 1
        check_fits((a.size // max(1, a.shape[-1]), b.size // max(1, b.shape[-1]), max(1, rows)))
    return [np.matmul(a, b)]


def _normalised(node: onnx.NodeProto, inputs: Inputs, opset: int) -> list[Array] | None:
    """BatchNormalization of constants: how some exporters standardise weights."""
    x, scale, bias, mean, variance = needed(inputs, 5)
    if x.ndim < 2 or scale.shape != (x.shape[1],):
        raise ValueError("its scale does not fit its input")
    shape = (1, -1, *(1,) * (x.ndim - 2))
    if opset >= 14 and attribute(node, "training_mode", 0):
        over = tuple(axis for axis in range(x.ndim) if axis != 1)
        # In double: a mean over thousands of weights.
        mean = np.mean(x, axis=over, dtype=np.float64)
        variance = np.var(x, axis=over, dtype=np.float64)
    spread = np.sqrt(variance.astype(np.float64) + attribute(node, "epsilon", 1e-5))
    factor = (scale / spread).reshape(shape)
    return [np.asarray((x - mean.reshape(shape)) * factor + bias.reshape(shape), x.dtype)]


ARITHMETIC: dict[str, Any] = {
    "Sqrt": _unary(np.sqrt),
    "Reciprocal": _unary(np.reciprocal),
    "Neg": _unary(np.negative),
    "Abs": _unary(np.abs),
    "Exp": _unary(np.exp),
    "Log": _unary(np.log),
    "Floor": _unary(np.floor),
    "Ceil": _unary(np.ceil),
    "Round": _unary(np.rint),
    "Sign": _unary(np.sign),
    "Not": _unary(np.logical_not),
    "Sin": _unary(np.sin),
    "Cos": _unary(np.cos),
    "Tanh": _unary(np.tanh),
    "Relu": _unary(lambda x: np.maximum(x, 0)),
    "Add": _binary(lambda node, a, b: np.add(a, b)),
    "Sub": _binary(lambda node, a, b: np.subtract(a, b)),
    "Mul": _binary(lambda node, a, b: np.multiply(a, b)),
    "Div": _binary(_divided),
    "Mod": _binary(_remainder),
    "Pow": _binary(_power),
    "Equal": _binary(lambda node, a, b: np.equal(a, b)),
    "Less": _binary(lambda node, a, b: np.less(a, b)),
    "Greater": _binary(lambda node, a, b: np.greater(a, b)),
    "LessOrEqual": _binary(lambda node, a, b: np.less_equal(a, b)),
    "GreaterOrEqual": _binary(lambda node, a, b: np.greater_equal(a, b)),
    "And": _binary(lambda node, a, b: np.logical_and(a, b)),
    "Or": _binary(lambda node, a, b: np.logical_or(a, b)),
    "Xor": _binary(lambda node, a, b: np.logical_xor(a, b)),
    "Min": _folded(np.minimum),
    "Max": _folded(np.maximum),
    "Sum": _folded(np.add),
    "ReduceMean": _reduced(np.mean),
    "ReduceSum": _reduced(np.sum),
    "ReduceProd": _reduced(np.prod),
    "ReduceMax": _reduced(np.max),
    "ReduceMin": _reduced(np.min),
    "ReduceL2": _reduced(lambda x, **over: np.sqrt(np.sum(x * x, **over))),
    "ReduceSumSquare": _reduced(lambda x, **over: np.sum(x * x, **over)),
    "Cast": _cast,
    "Clip": _clipped,
    "Where": _chosen,
    "MatMul": _product,
    "BatchNormalization": _normalised,
}
