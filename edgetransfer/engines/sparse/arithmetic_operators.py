"""Lowering of convolutions, matrix products, scales, sums and activations."""

from __future__ import annotations

import numpy as np
import onnx

from edgetransfer.engines.sparse.plan import Combination, Kind, Mixing, Operator, Window
from edgetransfer.engines.sparse.state import Attributes, Lowering, Value
from edgetransfer.engines.sparse.windows import window_of
from edgetransfer.errors import EngineError


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
        return _combined(low, node)
    if len(node.input) != 2 or (known == [0] and node.op_type == "Div"):
        raise EngineError("it knows this of an image and one constant alone")
    value = low.value(node, 1 - known[0])
    numbers = low.by_channel(value, low.constants[node.input[known[0]]].astype(np.float64))
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
        case "Max" | "Min":
            raise EngineError("it knows this of two tensors alone")
    return low.pointwise(value, one, numbers)


COMBINATIONS = {
    "Add": Combination.ADD,
    "Sum": Combination.ADD,
    "Sub": Combination.SUBTRACT,
    "Mul": Combination.MULTIPLY,
    "Div": Combination.DIVIDE,
    "Max": Combination.LARGER,
    "Min": Combination.SMALLER,
}


def _combined(low: Lowering, node: onnx.NodeProto) -> Value:
    """Two tensors or more, one after the other."""
    total, *others = (low.value(node, i) for i in range(len(node.input)))
    for value in others:
        total = combine(low, COMBINATIONS[node.op_type], total, value)
    return total


def combine(low: Lowering, how: Combination, a: Value, b: Value) -> Value:
    """Two tensors; either may have one channel, row or column for all of the other's.

    Raises
    ------
    EngineError
        If they do not spread to one shape.
    """
    one, other = low.shape(a), low.shape(b)
    if how is Combination.ADD and (one, a.flat) == (other, b.flat):
        added = Operator(kind=Kind.ADD, source=a.tensor, second=b.tensor, out=low.plan.tensor(one))
        return low.emit(added, flat=a.flat)
    points = one[1:] == other[1:] == (1, 1)
    fits = all(m == n or 1 in (m, n) for m, n in zip(one, other, strict=True))
    if a.flat != b.flat or not fits or (a.flat and one != other and not points):
        raise EngineError(f"it does not combine tensors of shapes {one} and {other}")
    height, width = max(one[1], other[1]), max(one[2], other[2])
    return low.emit(
        Operator(
            kind=Kind.COMBINE, source=a.tensor, second=b.tensor,
            out=low.plan.tensor((max(one[0], other[0]), height, width)),
            mixing=Mixing(combination=how),
        ),
        flat=a.flat,
    )  # fmt: skip
