"""Lowering of operators that change each number by itself."""

from __future__ import annotations

import numpy as np
import onnx

from edgetransfer.engines.sparse.arithmetic_operators import combine
from edgetransfer.engines.sparse.plan import Activation, Combination, Kind, Operator
from edgetransfer.engines.sparse.state import Attributes, Lowering, Value
from edgetransfer.errors import EngineError
from edgetransfer.graphs.graph import Array


def activated(
    low: Lowering, value: Value, kind: Activation, low_bound: float = 0, high: float = 0
) -> Value:
    """An activation of a value, as an operator of its own; `fuse` has others do it."""
    return low.emit_as(
        Operator(
            kind=Kind.ADD, source=value.tensor, out=low.plan.tensor(low.shape(value)),
            activation=kind, low=low_bound, high=high,
        ),
        value,
    )  # fmt: skip


SIMPLE = {
    "Relu": Activation.RELU,
    "HardSwish": Activation.HARD_SWISH,
    "Sigmoid": Activation.SIGMOID,
    "Tanh": Activation.TANH,
    "Erf": Activation.ERF,
    "Exp": Activation.EXP,
    "Sqrt": Activation.SQRT,
    "Mish": Activation.MISH,
    "Softplus": Activation.SOFTPLUS,
}


def simple(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Those without constants."""
    return activated(low, low.any_value(node), SIMPLE[node.op_type])


def clip(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Clip, with bounds as attributes or constants."""
    bounds = []
    for index, (name, default) in enumerate((("min", -np.inf), ("max", np.inf)), start=1):
        given = low.constant(node, index)
        bounds.append(float(a.get(name, default)) if given is None else float(given.reshape(-1)[0]))
    if bounds == [0.0, np.inf]:
        return activated(low, low.any_value(node), Activation.RELU)
    return activated(low, low.any_value(node), Activation.CLIP, bounds[0], bounds[1])


def leaky_relu(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """LeakyRelu."""
    return _sloped(low, low.any_value(node), np.full(1, float(a.get("alpha", 0.01))))


def hard_sigmoid(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """HardSigmoid."""
    line = float(a.get("alpha", 0.2)), float(a.get("beta", 0.5))
    return activated(low, low.any_value(node), Activation.HARD_SIGMOID, *line)


def swish(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Swish of opset 24."""
    return activated(low, low.any_value(node), Activation.SILU, float(a.get("alpha", 1.0)))


def gelu(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Gelu, by the error function or by tanh."""
    by_tanh = a.get("approximate", "none") == "tanh"
    return activated(low, low.any_value(node), Activation.GELU_TANH if by_tanh else Activation.GELU)


def elu(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Elu."""
    return activated(low, low.any_value(node), Activation.ELU, float(a.get("alpha", 1.0)))


def selu(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Selu: elu times a number."""
    alpha = float(a.get("alpha", 1.67326319217681884765625))
    below = activated(low, low.any_value(node), Activation.ELU, alpha)
    gamma = float(a.get("gamma", 1.05070102214813232421875))
    return low.pointwise(below, np.full(1, gamma), np.zeros(1))


def parametric(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """PRelu, of one slope or one for each channel."""
    value, slopes = low.any_value(node), low.constant(node, 1)
    if slopes is None:
        raise EngineError("it misses its slopes")
    numbers = low.spread(value, slopes.astype(np.float64))
    if numbers.shape[1:] != (1, 1):
        raise EngineError("its slopes differ within a channel")
    return _sloped(low, value, numbers.reshape(-1))


def _sloped(low: Lowering, value: Value, slopes: Array) -> Value:
    """What is below zero times a slope; relu(x) - slope relu(-x) where the kernels know it not."""
    if slopes.size == 1 and 0 <= float(slopes[0]) <= 1:
        return activated(low, value, Activation.LEAKY, float(slopes[0]))
    above = activated(low, value, Activation.RELU)
    turned = low.pointwise(value, -np.ones(1), np.zeros(1))
    below = low.pointwise(activated(low, turned, Activation.RELU), -slopes, np.zeros(1))
    return combine(low, Combination.ADD, above, below)


def negated(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Neg."""
    return low.pointwise(low.any_value(node), -np.ones(1), np.zeros(1))


def power(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Pow of a small whole number, or of one half."""
    value, exponent = low.any_value(node), low.constant(node, 1)
    if exponent is None or exponent.size != 1:
        raise EngineError("it knows powers of one number alone")
    number = float(exponent.reshape(-1)[0])
    if number == 0.5:
        return activated(low, value, Activation.SQRT)
    if number not in (1, 2, 3, 4):
        raise EngineError(f"it does not know the power of {number}")
    made = value
    for _ in range(int(number) - 1):
        made = combine(low, Combination.MULTIPLY, made, value)
    return made
