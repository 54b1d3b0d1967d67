"""Lowering of matrix products, softmax and normalisations."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import onnx

from edgetransfer.engines.sparse.arithmetic_operators import COMBINATIONS, with_constant
from edgetransfer.engines.sparse.plan import Kind, Mixing, Operator, Window
from edgetransfer.engines.sparse.relaying import layout_of, references
from edgetransfer.engines.sparse.state import Attributes, Lowering, Value
from edgetransfer.engines.sparse.views import Axis, Factor
from edgetransfer.errors import EngineError
from edgetransfer.graphs.graph import Array


def matrix_product(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Gemm and MatMul: with a constant a convolution, else a product of two tensors."""
    if node.input[1] in low.values:
        if node.op_type == "Gemm" or node.input[0] not in low.values:
            raise EngineError("it multiplies a tensor by a matrix or by another tensor")
        return product(low, low.any_value(node, 0), low.any_value(node, 1))
    value, matrix = low.any_value(node), low.constant(node, 1)
    if matrix is None or matrix.ndim != 2 or a.get("transA"):
        raise EngineError("it knows products of tensors with a matrix alone")
    rows = matrix if a.get("transB") else matrix.T
    weights = (rows * np.float32(a.get("alpha", 1.0))).astype(np.float32)
    bias = np.zeros(len(rows), np.float32)
    added = low.constant(node, 2)
    if added is not None:
        if added.shape not in ((), (1,), (1, 1), (len(rows),), (1, len(rows))):
            raise EngineError(f"a constant {added.shape} is not one number for each feature")
        bias = bias + np.float32(a.get("beta", 1.0)) * added.reshape(-1).astype(np.float32)
    return linear(low, value, weights, bias, node.name)


def linear(low: Lowering, value: Value, rows: Array, bias: Array, name: str) -> Value:
    """Each row of a matrix with the last axis: a convolution of points, or of the whole image."""
    features = low.full_shape(value)[-1]
    if rows.shape[1] != features:
        raise EngineError(f"a matrix {rows.shape[::-1]} does not fit {features} features")
    window, weights = Window(), rows.reshape(*rows.shape, 1, 1)
    if value.flat:
        shape = low.shape(value)
        window, weights = Window(kernel=shape[1:]), rows.reshape(len(rows), *shape)
    else:
        value = inner_channels(low, value, [len(value.view) - 1], alone=True)
    sides = (1, 1) if value.flat else low.shape(value)[1:]
    out = low.plan.tensor((len(rows), *sides))
    made = low.plan.add(
        Operator(
            kind=Kind.CONVOLUTION, source=value.tensor, out=out, weights=weights, bias=bias,
            window=window, name=name,
        )
    )  # fmt: skip
    last = (Factor(Axis.CHANNEL, len(rows)),) if len(rows) > 1 else ()
    return low.made(made.out, (*value.view[:-1], last))


def inner_channels(
    low: Lowering, value: Value, dimensions: Sequence[int], *, alone: bool = False
) -> Value:
    """A value some of whose axes are the innermost part of its channels, in their order.

    Parameters
    ----------
    alone
        Whether no other axis may be a part of the channels.
    """
    wanted = references(value.view, dimensions)
    before, rows, columns = layout_of(value.view)
    outer = [at for at in before if at not in wanted]
    rows, columns = ([at for at in axis if at not in wanted] for axis in (rows, columns))
    if alone:
        columns, outer = [*outer, *columns], []
    return low.relaid(value, ([*outer, *wanted], rows, columns))


def product(low: Lowering, a: Value, b: Value) -> Value:
    """MatMul of two tensors: of their last two axes, for each place along the others."""
    one, other = low.full_shape(a), low.full_shape(b)
    rank = len(one)
    if rank != len(other) or rank < 3 or one[:-2] != other[:-2] or one[-1] != other[-2]:
        raise EngineError(f"it does not multiply {one} by {other}")
    groups = list(range(rank - 2))
    left = _grouped(low, a, groups, inner=rank - 1, outer=rank - 2)
    channels = layout_of(b.view)[0]
    # Which of the second's axes is a part of its channels already.
    over_columns = not any(at[0] == rank - 2 for at in channels)
    inner, outer = (rank - 1, rank - 2) if over_columns else (rank - 2, rank - 1)
    right = _grouped(low, b, groups, inner=inner, outer=outer)
    count = prod(low.shape(left)[:1]) // one[-1]
    columns = other[-1]
    out = low.plan.tensor((count * columns, 1, one[-2]))
    made = low.plan.add(
        Operator(
            kind=Kind.PRODUCT, source=left.tensor, second=right.tensor, out=out, groups=count,
            mixing=Mixing(over_columns=over_columns),
        )
    )  # fmt: skip
    view: list[tuple[Factor, ...]] = []
    for d in groups:
        view.append(tuple(
            f if f.axis is Axis.BATCH else Factor(f.axis, f.size, f.stride // one[-1] * columns)
            for f in left.view[d]
        ))  # fmt: skip
    view.append((Factor(Axis.COLUMN, one[-2]),) if one[-2] > 1 else ())
    view.append((Factor(Axis.CHANNEL, columns),) if columns > 1 else ())
    return low.made(made.out, tuple(view))


def _grouped(low: Lowering, value: Value, groups: list[int], *, inner: int, outer: int) -> Value:
    channels = references(value.view, [*groups, inner])
    return low.relaid(value, (channels, [], references(value.view, [outer])))


def softmax(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Softmax over one axis, or over the last ones as before opset 13."""
    value = low.any_value(node)
    rank = len(value.view)
    axis = int(a.get("axis", 1 if low.opset < 13 else -1)) % rank
    dimensions = [axis] if low.opset >= 13 else list(range(axis, rank))
    size = prod(low.full_shape(value)[d] for d in dimensions)
    value = inner_channels(low, value, dimensions)
    shape = low.shape(value)
    return low.emit_as(
        Operator(
            kind=Kind.SOFTMAX, source=value.tensor, out=low.plan.tensor(shape),
            groups=shape[0] // size,
        ),
        value,
    )  # fmt: skip


def normalised(
    low: Lowering, value: Value, dimensions: Sequence[int], epsilon: float, *, centred: bool = True
) -> tuple[Value, Operator]:
    """(x - mean) / sqrt(variance + epsilon) over some axes of the graph."""
    over = references(value.view, dimensions)
    channels, rows, columns = layout_of(value.view)
    inside = [at for at in channels if at in over]
    whole = all(at in over for at in (*rows, *columns)) and bool(rows or columns)
    if not (whole and channels[len(channels) - len(inside) :] == inside):
        value = inner_channels(low, value, dimensions)
        over = references(value.view, dimensions)
        whole = False
    shape = low.shape(value)
    size = prod(low.full_shape(value)[d] for d in dimensions)
    groups = prod(shape) // size if whole else shape[0] // size
    operator = Operator(
        kind=Kind.NORMALISE, source=value.tensor, out=low.plan.tensor(shape), groups=groups,
        weights=np.ones(shape[0]), bias=np.zeros(shape[0]), low=epsilon,
        mixing=Mixing(over_pixels=whole, centred=centred),
    )  # fmt: skip
    return value, operator


def scaled(low: Lowering, value: Value, numbers: Array | None, how: str) -> Value:
    """A value times a constant, or plus one, of the graph's shape."""
    if numbers is None:
        return value
    return with_constant(low, COMBINATIONS[how], value, numbers)


def layer_normalisation(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """LayerNormalization and RMSNormalization."""
    value = low.any_value(node)
    rank = len(value.view)
    axis = int(a.get("axis", -1)) % rank
    value, operator = normalised(
        low, value, range(axis, rank), float(a.get("epsilon", 1e-5)),
        centred=node.op_type == "LayerNormalization",
    )  # fmt: skip
    made = low.emit_as(operator, value)
    made = scaled(low, made, low.constant(node, 1), "Mul")
    return scaled(low, made, low.constant(node, 2), "Add")


def instance_normalisation(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """InstanceNormalization: over all axes behind the channels."""
    value = low.any_value(node)
    rank = len(value.view)
    value, operator = normalised(low, value, range(2, rank), float(a.get("epsilon", 1e-5)))
    made = low.emit_as(operator, value)
    for index, how in ((1, "Mul"), (2, "Add")):
        numbers = low.constant(node, index)
        assert numbers is not None
        made = scaled(low, made, numbers.reshape(-1, *[1] * (rank - 2)), how)
    return made


def group_normalisation(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """GroupNormalization, of one factor for each channel, or for each group before opset 21."""
    value = low.value(node)
    channels = low.shape(value)[0]
    groups = int(a["num_groups"])
    if channels % groups:
        raise EngineError(f"{channels} channels do not divide into {groups} groups")
    operator = Operator(
        kind=Kind.NORMALISE, source=value.tensor, out=low.plan.tensor(low.shape(value)),
        groups=groups, weights=np.ones(channels), bias=np.zeros(channels),
        low=float(a.get("epsilon", 1e-5)), mixing=Mixing(over_pixels=True),
    )  # fmt: skip
    made = low.emit_as(operator, value)
    for index, how in ((1, "Mul"), (2, "Add")):
        numbers = low.constant(node, index)
        assert numbers is not None
        by_channel = np.repeat(numbers, channels // numbers.size)
        made = scaled(low, made, by_channel.reshape(-1, 1, 1), how)
    return made
