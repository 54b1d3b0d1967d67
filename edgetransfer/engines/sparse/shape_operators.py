"""Lowering of poolings, and of operators that move numbers and compute nothing."""

from __future__ import annotations

import numpy as np
import onnx

from edgetransfer.engines.sparse.plan import Kind, Operator, Window
from edgetransfer.engines.sparse.state import Attributes, Lowering, Value
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


def mean(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """ReduceMean over rows and columns."""
    given = low.constant(node, 1)
    axes = a.get("axes") if given is None else given.tolist()
    if axes is None or sorted(int(i) % 4 for i in axes) != [2, 3] or low.value(node).flat:
        raise EngineError("it knows the mean over all of an image alone")
    pooled = global_average(low, node, a)
    return Value(tensor=pooled.tensor, flat=not a.get("keepdims", 1))


def passed(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Identity, Dropout and Cast to float32."""
    if node.op_type == "Cast" and a.get("to") != onnx.TensorProto.FLOAT:
        raise EngineError("it computes in float32 alone")
    if node.op_type == "Dropout":
        training = low.constant(node, 2)
        if training is not None and training.any():
            raise EngineError("it is in training mode: what it drops is random")
    return low.value(node)


def transposed(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """There and back between channels first and channels last; nothing happens in between."""
    value = low.values[node.input[0]]
    order, there, back = a.get("perm"), [0, 2, 3, 1], [0, 3, 1, 2]
    if order == list(range(2 if value.flat else 4)):
        return value
    if value.flat or order != (back if value.last else there):
        raise EngineError("it permutes axes at an image's edges alone")
    return Value(tensor=value.tensor, last=not value.last)


def flattened(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Flatten behind the batch."""
    if a.get("axis", 1) % 4 != 1:
        raise EngineError("it flattens behind the batch alone")
    value = low.value(node)
    return Value(tensor=value.tensor, flat=True)


def reshaped(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Reshape, Squeeze and Unsqueeze between (batch, features) and (batch, features, 1, 1)."""
    value = low.value(node)
    before = low.full_shape(value)
    given = low.constant(node, 1)
    numbers = [int(i) for i in (a.get("axes", []) if given is None else given.reshape(-1))]
    array = np.broadcast_to(np.zeros(1, np.int8), before)
    try:
        if node.op_type == "Reshape":
            zero = bool(a.get("allowzero"))
            kept = [before[i] if d == 0 and not zero else d for i, d in enumerate(numbers)]
            after = _resolved(before, kept)
        elif node.op_type == "Squeeze":
            axes = tuple(i % len(before) for i in numbers)
            axes = axes or tuple(i for i, d in enumerate(before) if d == 1 and i > 0)
            after = list(np.squeeze(array, axes).shape)
        else:
            after = list(np.expand_dims(array, tuple(numbers)).shape)
    except (ValueError, IndexError) as error:
        raise EngineError(str(error)) from error
    features = int(np.prod(low.shape(value)))
    if after == [low.batch, features]:
        return Value(tensor=value.tensor, flat=True)
    if after == [low.batch, *low.shape(value)]:
        return Value(tensor=value.tensor)
    raise EngineError(f"it does not reshape {before} to {after}")


def _resolved(before: list[int], wanted: list[int]) -> list[int]:
    """A shape with its -1 worked out."""
    known = int(np.prod([d for d in wanted if d != -1]))
    total = int(np.prod(before))
    if wanted.count(-1) > 1 or known <= 0 or total % known:
        raise ValueError(f"{before} does not become {wanted}")
    after = [total // known if d == -1 else d for d in wanted]
    if int(np.prod(after)) != total:
        raise ValueError(f"{before} does not become {wanted}")
    return after


def padded(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Pad with a number, by a copy into a larger image."""
    value, given, constant = low.value(node), low.constant(node, 1), low.constant(node, 2)
    axes = low.constant(node, 3)
    numbers = [int(p) for p in (a.get("pads", []) if given is None else given)]
    number = float(a.get("value", 0.0) if constant is None else constant.reshape(-1)[0])
    rank = len(low.full_shape(value))
    places = list(range(rank)) if axes is None else [int(i) % rank for i in axes]
    if len(numbers) != 2 * len(places) or len(set(places)) != len(places):
        raise EngineError("its paddings do not fit its axes")
    pads = [0] * 2 * rank
    for i, place in enumerate(places):
        pads[place], pads[rank + place] = numbers[i], numbers[len(places) + i]
    if not any(pads):
        return value
    if a.get("mode", "constant") != "constant":
        raise EngineError("it pads with a number alone")
    if value.flat or any(pads[i] for i in (0, 1, 4, 5)) or min(pads) < 0:
        raise EngineError("it pads rows and columns of images alone")
    channels, height, width = low.shape(value)
    out = low.plan.tensor((channels, height + pads[2] + pads[6], width + pads[3] + pads[7]))
    offset = (0, pads[2], pads[3])
    return low.emit(
        Operator(kind=Kind.COPY, source=value.tensor, out=out, offset=offset, fill=number)
    )


def concatenated(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Concat of channels."""
    values = [low.value(node, i) for i in range(len(node.input))]
    axis = a.get("axis", 1)
    if axis % (2 if values[0].flat else 4) != 1:
        raise EngineError("it concatenates channels alone")
    shapes = [low.shape(v) for v in values]
    alike = len({(s[1:], v.flat) for s, v in zip(shapes, values, strict=True)}) == 1
    if not alike or (values[0].flat and shapes[0][1:] != (1, 1)):
        raise EngineError("it does not concatenate tensors of different sizes")
    out = low.plan.tensor((sum(s[0] for s in shapes), *shapes[0][1:]))
    at = 0
    for value, shape in zip(values, shapes, strict=True):
        low.emit(Operator(kind=Kind.COPY, source=value.tensor, out=out, offset=(at, 0, 0)))
        at += shape[0]
    return Value(tensor=out, flat=values[0].flat)
