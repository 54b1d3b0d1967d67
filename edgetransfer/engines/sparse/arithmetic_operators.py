"""Lowering of convolutions, matrix products, scales, sums and activations."""

from __future__ import annotations

import numpy as np
import onnx

from edgetransfer.engines.sparse.plan import Combination, Kind, Mixing, Operator
from edgetransfer.engines.sparse.relaying import Reference, layout_of, references, relay
from edgetransfer.engines.sparse.state import Attributes, Lowering, Value
from edgetransfer.engines.sparse.views import (
    Axis,
    Factor,
    reshaped,
    without_batch,
)
from edgetransfer.engines.sparse.windows import window_of
from edgetransfer.errors import EngineError
from edgetransfer.graphs.graph import Array


def convolution(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """A convolution over rows and columns, or over one axis."""
    weights = low.constant(node, 1)
    if weights is None or weights.ndim not in (3, 4):
        raise EngineError("it knows convolutions of one and two dimensions alone")
    if weights.ndim == 3:
        return _along_a_line(low, node, a, weights)
    return _convolution(low, node, a, low.value(node), weights)


def _along_a_line(low: Lowering, node: onnx.NodeProto, a: Attributes, weights: Array) -> Value:
    """A convolution of (batch, channels, length): of images of one row."""
    value = low.any_value(node)
    if len(value.view) != 3:
        raise EngineError(f"weights {weights.shape} do not fit {low.full_shape(value)}")
    value = low.relaid(value, (references(value.view, [1]), [], references(value.view, [2])))
    flat = {"strides": [1], "dilations": [1], "pads": [0, 0]}
    wide = dict(a)
    for name, default in flat.items():
        given = [int(n) for n in a.get(name, default)]
        wide[name] = [0, given[0], 0, given[-1]] if name == "pads" else [1, *given]
    made = _convolution(low, node, wide, low.made(value.tensor), weights[:, :, None, :])
    return low.made(made.tensor, (made.view[0], made.view[1], made.view[3]))


def _convolution(
    low: Lowering, node: onnx.NodeProto, a: Attributes, value: Value, weights: Array
) -> Value:
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
    value = low.any_value(node)
    if value.flat:
        return low.pointwise(low.value(node), factor, shift - mean * factor)
    behind = [1] * (len(value.view) - 2)
    factors = low.spread(value, factor.reshape(-1, *behind))
    shifts = low.spread(value, (shift - mean * factor).reshape(-1, *behind))
    if factors.shape[1:] != (1, 1) or shifts.shape[1:] != (1, 1):
        raise EngineError("its channels are rows or columns here")
    return low.pointwise(value, factors.reshape(-1), shifts.reshape(-1))


COMBINATIONS = {
    "Add": Combination.ADD,
    "Sum": Combination.ADD,
    "Sub": Combination.SUBTRACT,
    "Mul": Combination.MULTIPLY,
    "Div": Combination.DIVIDE,
    "Max": Combination.LARGER,
    "Min": Combination.SMALLER,
}


def arithmetic(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Add, Sub, Mul, Div, Max and Min of tensors and constants, one after the other."""
    how = COMBINATIONS[node.op_type]
    total: Value | Array = _operand(low, node, 0)
    for index in range(1, len(node.input)):
        other = _operand(low, node, index)
        if isinstance(total, Value):
            total = with_constant(low, how, total, other) if isinstance(other, np.ndarray) else (
                combine(low, how, total, other)
            )  # fmt: skip
        elif isinstance(other, Value):
            total = with_constant(low, how, other, total, turned=True)
        else:
            total = np.asarray(total + other)  # of a Sum, before its first tensor
    assert isinstance(total, Value)
    return total


def _operand(low: Lowering, node: onnx.NodeProto, index: int) -> Value | Array:
    name = node.input[index]
    return low.constants[name] if name in low.constants else low.any_value(node, index)


def with_constant(
    low: Lowering, how: Combination, value: Value, constant: Array, *, turned: bool = False
) -> Value:
    """A tensor and a constant: numbers for each channel where these do, else for each place."""
    numbers = low.spread(value, constant.astype(np.float64))
    by_channel = numbers.shape[1:] == (1, 1)
    one, zero = np.ones(1), np.zeros(1)
    flat = numbers.reshape(-1)
    match how, by_channel, turned:
        case Combination.ADD, True, _:
            return low.pointwise(value, one, flat)
        case Combination.MULTIPLY, True, _:
            return low.pointwise(value, flat, zero)
        case Combination.SUBTRACT, True, False:
            return low.pointwise(value, one, -flat)
        case Combination.SUBTRACT, True, True:
            return low.pointwise(value, -one, flat)
        case Combination.DIVIDE, True, False:
            return low.pointwise(value, 1 / flat, zero)
    constants = low.made(low.constant_tensor(numbers), value.view)
    pair = (constants, value) if turned else (value, constants)
    out = low.plan.tensor(low.shape(value))
    return low.emit_as(
        Operator(
            kind=Kind.COMBINE, source=pair[0].tensor, second=pair[1].tensor, out=out,
            mixing=Mixing(combination=how),
        ),
        value,
    )  # fmt: skip


def combine(low: Lowering, how: Combination, a: Value, b: Value) -> Value:
    """Two tensors; either may have one place for all of the other's along any axis.

    Raises
    ------
    EngineError
        If they do not spread to one shape.
    """
    one, other = low.full_shape(a), low.full_shape(b)
    fits = len(one) == len(other) and all(
        m == n or 1 in (m, n) for m, n in zip(one, other, strict=True)
    )
    if not fits or one[0] != other[0]:
        raise EngineError(f"it does not combine tensors of shapes {one} and {other}")
    larger = [max(m, n) for m, n in zip(one, other, strict=True)]
    if larger == one:
        like = a
        b = _beside(low, b, a)
    elif larger == other:
        like = b
        a = _beside(low, a, b)
    else:  # each spreads along axes of the other's
        a, b = low.canonical(a), low.canonical(b)
        if a.flat or b.flat:
            raise EngineError(f"it does not combine tensors of shapes {one} and {other}")
        like = None
    shape = [max(m, n) for m, n in zip(low.shape(a), low.shape(b), strict=True)]
    out = low.plan.tensor((shape[0], shape[1], shape[2]))
    alike = low.shape(a) == low.shape(b)
    operator = Operator(
        kind=Kind.ADD if how is Combination.ADD and alike else Kind.COMBINE,
        source=a.tensor, second=b.tensor, out=out,
        mixing=Mixing(combination=how),
    )  # fmt: skip
    return low.emit(operator) if like is None else low.emit_as(operator, like)


def _beside(low: Lowering, value: Value, like: Value) -> Value:
    """A value whose numbers lie where another's do that it spreads to."""
    shape = low.full_shape(value)
    view: list[list[Factor]] = [[] for _ in shape]
    parts: dict[Reference, list[Reference]] = {}
    for d, (dimension, wanted) in enumerate(zip(value.view, like.view, strict=True)):
        view[d] = [factor for factor in dimension if factor.axis is Axis.BATCH]
        if shape[d] == 1:
            continue
        split = reshaped((dimension,), [factor.size for factor in wanted])
        if split is None:
            raise EngineError("it does not combine tensors that are made in different ways")
        for i, part in enumerate(split):
            own = without_batch(part)
            parts[d, i] = [(d, len(view[d]) + k) for k in range(len(own))]
            view[d] += own
    layout: list[list[Reference]] = []
    for order in layout_of(like.view):
        axis: list[Reference] = []
        for at in order if any(at in parts for at in order) else []:
            if at not in parts:  # along a part of an axis: its numbers are repeated
                view[at[0]].append(Factor(Axis.CHANNEL, like.view[at[0]][at[1]].size, 0))
                parts[at] = [(at[0], len(view[at[0]]) - 1)]
            axis += parts[at]
        layout.append(axis)
    seen = tuple(tuple(dimension) for dimension in view)
    tensor, _ = relay(low.plan, value.tensor, seen, (layout[0], layout[1], layout[2]), {})
    return Value(tensor=tensor, view=value.view, flat=value.flat)
