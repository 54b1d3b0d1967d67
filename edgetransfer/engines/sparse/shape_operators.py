"""Lowering of poolings, means and sums, paddings and interpolations."""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx

from edgetransfer.engines.sparse.activation_operators import activated
from edgetransfer.engines.sparse.arithmetic_operators import combine
from edgetransfer.engines.sparse.matrix_operators import inner_channels
from edgetransfer.engines.sparse.plan import Activation, Combination, Kind, Operator, Window
from edgetransfer.engines.sparse.relaying import layout_of, references
from edgetransfer.engines.sparse.state import Attributes, Lowering, Value
from edgetransfer.engines.sparse.view_operators import picked
from edgetransfer.engines.sparse.views import Axis, Factor
from edgetransfer.engines.sparse.windows import pair, window_of
from edgetransfer.errors import EngineError


def pooling(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """MaxPool and AveragePool."""
    kind = Kind.MAX_POOL if node.op_type == "MaxPool" else Kind.AVERAGE_POOL
    value = low.value(node)
    if pair(a.get("dilations"), 1) != (1, 1):
        raise EngineError("it knows poolings without dilation alone")
    shape = low.shape(value)
    size = (shape[1], shape[2])
    window, sides = window_of(a, size, pair(a.get("kernel_shape"), 1))
    if (
        kind is Kind.AVERAGE_POOL
        and window.kernel == size
        and sides == (1, 1)
        and not any(window.padding)
    ):
        return global_average(low, node, a)
    inside = all(
        (n - 1) * s + k <= side
        for n, s, k, side in zip(sides, window.stride, window.kernel, size, strict=True)
    )
    counts = inside and not any(window.padding)
    if a.get("count_include_pad") and not counts:
        if a.get("ceil_mode"):
            raise EngineError("it does not know ceil_mode with count_include_pad")
        counts = True
    out = low.plan.tensor((shape[0], *sides))
    return low.emit(
        Operator(kind=kind, source=value.tensor, out=out, window=window, counts_padding=counts)
    )


def global_average(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """GlobalAveragePool."""
    value = low.value(node)
    out = low.plan.tensor((low.shape(value)[0], 1, 1))
    return low.emit(Operator(kind=Kind.GLOBAL_AVERAGE, source=value.tensor, out=out))


def global_maximum(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """GlobalMaxPool, as a window of the whole image."""
    value = low.value(node)
    channels, height, width = low.shape(value)
    if max(height, width) > 64:
        raise EngineError("it knows windows of up to 64 pixels")
    out = low.plan.tensor((channels, 1, 1))
    window = Window(kernel=(height, width))
    return low.emit(Operator(kind=Kind.MAX_POOL, source=value.tensor, out=out, window=window))


def passed(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Identity, Dropout and Cast to float32."""
    if node.op_type == "Cast" and a.get("to") != onnx.TensorProto.FLOAT:
        raise EngineError("it computes in float32 alone")
    if node.op_type == "Dropout":
        training = low.constant(node, 2)
        if training is not None and training.any():
            raise EngineError("it is in training mode: what it drops is random")
    return low.any_value(node)


def padded(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Pad: with a number by a copy into a larger image, else by places that are read again."""
    value, given, constant = low.any_value(node), low.constant(node, 1), low.constant(node, 2)
    axes = low.constant(node, 3)
    numbers = [int(p) for p in (a.get("pads", []) if given is None else given)]
    number = float(a.get("value", 0.0) if constant is None else constant.reshape(-1)[0])
    shape = low.full_shape(value)
    rank = len(shape)
    places = list(range(rank)) if axes is None else [int(i) % rank for i in axes]
    if len(numbers) != 2 * len(places) or len(set(places)) != len(places):
        raise EngineError("its paddings do not fit its axes")
    pads = [(0, 0)] * rank
    for i, place in enumerate(places):
        pads[place] = (numbers[i], numbers[len(places) + i])
    if any(pads[0]):
        raise EngineError("it does not pad the batch")
    mode = a.get("mode", "constant")
    for d in range(1, rank):
        first, last = pads[d]
        if mode != "constant" and any(pads[d]):
            reached = np.pad(np.arange(shape[d]), (max(first, 0), max(last, 0)), MODES[mode])
            inside = slice(max(-first, 0), len(reached) - max(-last, 0))
            value = picked(low, value, d, reached[inside])
        elif min(pads[d]) < 0:
            value = picked(low, value, d, np.arange(max(-first, 0), shape[d] - max(-last, 0)))
    if mode != "constant":
        return value
    pads = [(max(first, 0), max(last, 0)) for first, last in pads]
    if not any(map(any, pads)):
        return value
    value = low.canonical(value)
    if value.flat or rank != 4:
        raise EngineError("it pads images alone")
    channels, height, width = low.shape(value)
    if any(pads[1]):
        value = _more_channels(low, value, pads[1], number)
        channels = low.shape(value)[0]
    if not any(map(any, pads[2:])):
        return value
    out = low.plan.tensor((channels, height + sum(pads[2]), width + sum(pads[3])))
    offset = (0, pads[2][0], pads[3][0])
    return low.emit(
        Operator(kind=Kind.COPY, source=value.tensor, out=out, offset=offset, fill=number)
    )


MODES: dict[str, Literal["reflect", "edge", "wrap"]] = {
    "reflect": "reflect",
    "edge": "edge",
    "wrap": "wrap",
}


def _more_channels(low: Lowering, value: Value, pads: tuple[int, int], number: float) -> Value:
    """Channels of one number before and after: a convolution of one weight each, or none."""
    channels, height, width = low.shape(value)
    weights = np.zeros((channels + sum(pads), channels, 1, 1), np.float32)
    weights[pads[0] + np.arange(channels), np.arange(channels)] = 1
    bias = np.full(len(weights), number, np.float32)
    bias[pads[0] : pads[0] + channels] = 0
    out = low.plan.tensor((len(weights), height, width))
    return low.emit(
        Operator(kind=Kind.CONVOLUTION, source=value.tensor, out=out, weights=weights, bias=bias)
    )


def reduced(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """ReduceMean and ReduceSum over any axes, ReduceMax over rows and columns."""
    return _reduced(low, node, a, low.any_value(node))


def length(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """ReduceL2."""
    value = low.any_value(node)
    summed = _reduced(low, node, a, combine(low, Combination.MULTIPLY, value, value))
    return activated(low, summed, Activation.SQRT)


def _reduced(low: Lowering, node: onnx.NodeProto, a: Attributes, value: Value) -> Value:
    given = low.constant(node, 1)
    axes = a.get("axes") if given is None else given.reshape(-1).tolist()
    if node.op_type == "ReduceMax":
        value = low.canonical(value)
    rank = len(value.view)
    if not axes:
        raise EngineError("it does not go over all axes: the batch is one of them")
    over = sorted({int(i) % rank for i in axes})
    if 0 in over:
        raise EngineError("it does not go over the batch")
    seen = tuple(() if d in over else dimension for d, dimension in enumerate(value.view))
    if not a.get("keepdims", 1):
        seen = tuple(dimension for d, dimension in enumerate(value.view) if d not in over)
    wanted = references(value.view, over)
    if not wanted:  # of one place each
        return low.made(value.tensor, seen)
    _, rows, columns = layout_of(value.view)
    if set(wanted) == {*rows, *columns}:
        return low.made(_over_pixels(low, node.op_type, value), seen)
    if node.op_type == "ReduceMax":
        raise EngineError("it knows the maximum over all of an image alone")
    value = inner_channels(low, value, over)
    kept = tuple(
        tuple(Factor(f.axis, f.size, f.stride // len_over(low, value, over))
              if f.axis is Axis.CHANNEL else f for f in dimension)
        for d, dimension in enumerate(value.view) if d not in over
    )  # fmt: skip
    if a.get("keepdims", 1):
        rest = iter(kept)
        kept = tuple(() if d in over else next(rest) for d in range(rank))
    size = len_over(low, value, over)
    shape = low.shape(value)
    weight = 1 / size if node.op_type == "ReduceMean" else 1.0
    groups = shape[0] // size
    made = low.plan.add(
        Operator(
            kind=Kind.CONVOLUTION, source=value.tensor, groups=groups,
            out=low.plan.tensor((groups, *shape[1:])), bias=np.zeros(groups, np.float32),
            weights=np.full((groups, size, 1, 1), weight, np.float32),
        )
    )  # fmt: skip
    return low.made(made.out, kept)


def len_over(low: Lowering, value: Value, over: list[int]) -> int:
    """How many numbers some axes of the graph have together."""
    return int(np.prod([low.full_shape(value)[d] for d in over]))


def _over_pixels(low: Lowering, operator: str, value: Value) -> int:
    channels, height, width = low.shape(value)
    out = low.plan.tensor((channels, 1, 1))
    if operator == "ReduceMax":
        if max(height, width) > 64:
            raise EngineError("it knows windows of up to 64 pixels")
        window = Window(kernel=(height, width))
        low.plan.add(Operator(kind=Kind.MAX_POOL, source=value.tensor, out=out, window=window))
        return out
    low.plan.add(Operator(kind=Kind.GLOBAL_AVERAGE, source=value.tensor, out=out))
    if operator == "ReduceMean":
        return out
    count = np.full(1, float(height * width))
    return low.pointwise(low.made(out), count, np.zeros(1)).tensor
