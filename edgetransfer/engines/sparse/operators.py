"""How each operator of ONNX is lowered; what is not in `LOWERED` is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx

from edgetransfer.engines.sparse.constants import Array
from edgetransfer.engines.sparse.lowering import Attributes, Lowering, Value
from edgetransfer.engines.sparse.plan import Activation, Kind, Operator, Window
from edgetransfer.engines.sparse.windows import pair, window_of
from edgetransfer.errors import EngineError


def _convolution(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    value, weights = low.value(node), low.constant(node, 1)
    if weights is None or weights.ndim != 4:
        raise EngineError("it knows convolutions of two dimensions alone")
    groups = int(a.get("group", 1))
    channels, *size = low.shape(value)
    if weights.shape[1] * groups != channels or weights.shape[0] % groups:
        raise EngineError(f"weights {weights.shape} do not fit {channels} channels")
    window, sides = window_of(
        a, (size[0], size[1]), (weights.shape[2], weights.shape[3]), value.padding
    )
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


def _matrix_product(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
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
        bias = bias + np.float32(a.get("beta", 1.0)) * added.reshape(-1).astype(np.float32)
    out = low.plan.tensor((len(rows), 1, 1))
    made = low.emit(
        Operator(
            kind=Kind.CONVOLUTION, source=value.tensor, out=out, bias=bias, name=node.name,
            weights=weights.reshape(len(rows), *shape), window=Window(kernel=shape[1:]),
        )
    )  # fmt: skip
    return Value(tensor=made.tensor, flat=True)


def _normalisation(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    scale, shift, mean, variance = (low.constant(node, i) for i in range(1, 5))
    if scale is None or shift is None or mean is None or variance is None:
        raise EngineError("it misses its statistics")
    factor = scale.astype(np.float64) / np.sqrt(
        variance.astype(np.float64) + a.get("epsilon", 1e-5)
    )
    return _scaled(low, node, 0, factor, shift - mean * factor)


def _scaled(low: Lowering, node: onnx.NodeProto, index: int, scale: Array, shift: Array) -> Value:
    """Input `index` of a node, each channel times `scale` plus `shift`."""
    value = low.value(node, index)
    operator = low.open_producer(node, index)
    if operator is None or not operator.is_convolution or operator.second >= 0:
        return low.pointwise(value, scale, shift)
    assert operator.weights is not None
    assert operator.bias is not None
    scale = np.broadcast_to(np.asarray(scale, np.float64), operator.bias.shape)
    operator.weights = (operator.weights * scale[:, None, None, None]).astype(np.float32)
    operator.bias = (operator.bias * scale + shift).astype(np.float32)
    return value


def _arithmetic(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Add, Sub, Mul and Div of two tensors, or of one with a number for each channel."""
    known = [i for i, name in enumerate(node.input) if name in low.constants]
    if not known:
        if node.op_type not in ("Add", "Sum"):
            raise EngineError("it knows this of an image and constants alone")
        return _sum(low, node)
    if len(node.input) != 2 or (known == [0] and node.op_type == "Div"):
        raise EngineError("it knows this of an image and one constant alone")
    index = 1 - known[0]
    constant = low.constants[node.input[known[0]]].astype(np.float64)
    numbers = _by_channel(low, low.value(node, index), constant)
    one, zero = np.ones(1), np.zeros(1)
    if node.op_type in ("Add", "Sum"):
        return _scaled(low, node, index, one, numbers)
    if node.op_type == "Sub":
        return (
            _scaled(low, node, index, -one, numbers)
            if index
            else _scaled(low, node, 0, one, -numbers)
        )
    return _scaled(low, node, index, numbers if node.op_type == "Mul" else 1 / numbers, zero)


def _by_channel(low: Lowering, value: Value, constant: Array) -> Array:
    """A constant that broadcasts along channels alone, as (channels,) or (1,)."""
    shape = low.shape(value)
    if constant.size == 1:
        return constant.reshape(1)
    axes = 2 if value.flat else 4
    padded = constant.reshape((1,) * (axes - constant.ndim) + constant.shape)
    if padded.shape[1] == constant.size == shape[0] and (not value.flat or shape[1:] == (1, 1)):
        return constant.reshape(-1)
    raise EngineError(f"a constant of shape {constant.shape} is not one number for each channel")


def _sum(low: Lowering, node: onnx.NodeProto) -> Value:
    values = [low.applied(low.value(node, i)) for i in range(len(node.input))]
    if len({low.shape(v) for v in values}) != 1:
        raise EngineError("it does not add tensors of different shapes")
    if len(values) == 1:
        return values[0]
    if len(values) == 2 and values[0].tensor != values[1].tensor:
        # The later of the two convolutions adds the other's result on its way out.
        order = {id(o): i for i, o in enumerate(low.plan.operators)}
        producers = [low.open_producer(node, i) for i in range(2)]
        places = [
            order[id(p)] if p and p.is_convolution and p.second < 0 else -1 for p in producers
        ]
        index = int(np.argmax(places))
        other = low.producers.get(values[1 - index].tensor)
        later = -1 if other is None else order[id(other)]
        chosen = producers[index]
        if chosen is not None and places[index] > later:
            chosen.second = values[1 - index].tensor
            return values[index]
    total = values[0]
    for value in values[1:]:
        out = low.plan.tensor(low.shape(total))
        made = low.emit(Operator(kind=Kind.ADD, source=total.tensor, second=value.tensor, out=out))
        total = Value(tensor=made.tensor, flat=values[0].flat)
    return total


def _activated(
    low: Lowering, node: onnx.NodeProto, kind: Activation, low_bound: float = 0, high: float = 0
) -> Value:
    operator = low.open_producer(node)
    if operator is not None and operator.kind is not Kind.COPY:
        operator.activation, operator.low, operator.high = kind, low_bound, high
        return low.value(node)
    value = low.applied(low.value(node))
    out = low.plan.tensor(low.shape(value))
    made = low.emit(
        Operator(
            kind=Kind.ADD, source=value.tensor, out=out, activation=kind, low=low_bound, high=high
        )
    )
    return Value(tensor=made.tensor, flat=value.flat)


def _relu(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    return _activated(low, node, Activation.RELU)


def _clip(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    bounds = []
    for index, (name, default) in enumerate((("min", -np.inf), ("max", np.inf)), start=1):
        given = low.constant(node, index)
        bounds.append(float(a.get(name, default)) if given is None else float(given.reshape(-1)[0]))
    if bounds == [0.0, np.inf]:
        return _activated(low, node, Activation.RELU)
    return _activated(low, node, Activation.CLIP, bounds[0], bounds[1])


def _leaky_relu(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    slope = float(a.get("alpha", 0.01))
    if not 0 <= slope <= 1:
        raise EngineError(f"a slope of {slope} is not in 0 to 1")
    return _activated(low, node, Activation.LEAKY, slope)


def _hard_swish(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    return _activated(low, node, Activation.HARD_SWISH)


def _pooling(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    kind = Kind.MAX_POOL if node.op_type == "MaxPool" else Kind.AVERAGE_POOL
    value = low.applied(low.value(node)) if kind is Kind.AVERAGE_POOL else low.value(node)
    if any(value.padding):
        value = low.applied(value)  # zeros, which a maximum must see
    if pair(a.get("dilations"), 1) != (1, 1):
        raise EngineError("it knows poolings without dilation alone")
    shape = low.shape(value)
    size = (shape[1], shape[2])
    window, sides = window_of(a, size, pair(a.get("kernel_shape"), 1), (0, 0, 0, 0))
    if (
        kind is Kind.AVERAGE_POOL
        and window.kernel == size
        and sides == (1, 1)
        and not any(window.padding)
    ):
        return _global_average(low, node, a)
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


def _global_average(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    value = low.applied(low.value(node))
    out = low.plan.tensor((low.shape(value)[0], 1, 1))
    return low.emit(Operator(kind=Kind.GLOBAL_AVERAGE, source=value.tensor, out=out))


def _global_maximum(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    value = low.applied(low.value(node))
    channels, height, width = low.shape(value)
    if max(height, width) > 64:
        raise EngineError("it knows windows of up to 64 pixels")
    out = low.plan.tensor((channels, 1, 1))
    window = Window(kernel=(height, width))
    return low.emit(Operator(kind=Kind.MAX_POOL, source=value.tensor, out=out, window=window))


def _mean(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    given = low.constant(node, 1)
    axes = a.get("axes") if given is None else given.tolist()
    if axes is None or sorted(int(i) % 4 for i in axes) != [2, 3] or low.value(node).flat:
        raise EngineError("it knows the mean over all of an image alone")
    pooled = _global_average(low, node, a)
    return Value(tensor=pooled.tensor, flat=not a.get("keepdims", 1))


def _passed(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    if node.op_type == "Cast" and a.get("to") != onnx.TensorProto.FLOAT:
        raise EngineError("it computes in float32 alone")
    return low.value(node)


def _transposed(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """There and back between channels first and channels last; nothing happens in between."""
    value = low.values[node.input[0]]
    there, back = [0, 2, 3, 1], [0, 3, 1, 2]
    if value.flat or any(value.padding) or a.get("perm") != (back if value.last else there):
        raise EngineError("it permutes axes at an image's edges alone")
    return Value(tensor=value.tensor, last=not value.last)


def _flattened(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    if a.get("axis", 1) % 4 != 1:
        raise EngineError("it flattens behind the batch alone")
    value = low.applied(low.value(node))
    return Value(tensor=value.tensor, flat=True)


def _reshaped(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Reshape, Squeeze and Unsqueeze between (batch, features) and (batch, features, 1, 1)."""
    value = low.applied(low.value(node))
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


def _padded(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    value, given = low.value(node), low.constant(node, 1)
    pads = [int(p) for p in (a.get("pads", []) if given is None else given)]
    axes = low.constant(node, 3)
    constant = low.constant(node, 2)
    number = a.get("value", 0.0) if constant is None else float(constant.reshape(-1)[0])
    if a.get("mode", "constant") != "constant" or number or axes is not None:
        raise EngineError("it pads with zeros alone")
    if value.flat or len(pads) != 8 or any(pads[i] for i in (0, 1, 4, 5)) or min(pads) < 0:
        raise EngineError("it pads rows and columns of images alone")
    more = (pads[2], pads[3], pads[6], pads[7])
    total = tuple(p + q for p, q in zip(value.padding, more, strict=True))
    return Value(tensor=value.tensor, padding=(total[0], total[1], total[2], total[3]))


def _concatenated(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    values = [low.applied(low.value(node, i)) for i in range(len(node.input))]
    axis = a.get("axis", 1)
    if axis % (2 if values[0].flat else 4) != 1:
        raise EngineError("it concatenates channels alone")
    shapes = [low.shape(v) for v in values]
    if len({s[1:] for s in shapes}) != 1 or (values[0].flat and shapes[0][1:] != (1, 1)):
        raise EngineError("it does not concatenate tensors of different sizes")
    out = low.plan.tensor((sum(s[0] for s in shapes), *shapes[0][1:]))
    at = 0
    for value, shape in zip(values, shapes, strict=True):
        low.emit(Operator(kind=Kind.COPY, source=value.tensor, out=out, offset=(at, 0, 0)))
        at += shape[0]
    return Value(tensor=out, flat=values[0].flat)


LOWERED: dict[str, Callable[[Lowering, onnx.NodeProto, Attributes], Value]] = {
    "Conv": _convolution,
    "Gemm": _matrix_product,
    "MatMul": _matrix_product,
    "BatchNormalization": _normalisation,
    "Add": _arithmetic,
    "Sum": _arithmetic,
    "Sub": _arithmetic,
    "Mul": _arithmetic,
    "Div": _arithmetic,
    "Relu": _relu,
    "Clip": _clip,
    "LeakyRelu": _leaky_relu,
    "HardSwish": _hard_swish,
    "MaxPool": _pooling,
    "AveragePool": _pooling,
    "GlobalAveragePool": _global_average,
    "GlobalMaxPool": _global_maximum,
    "ReduceMean": _mean,
    "Flatten": _flattened,
    "Reshape": _reshaped,
    "Squeeze": _reshaped,
    "Unsqueeze": _reshaped,
    "Pad": _padded,
    "Concat": _concatenated,
    "Identity": _passed,
    "Dropout": _passed,
    "Cast": _passed,
    "Transpose": _transposed,
}
