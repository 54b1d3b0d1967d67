"""Activations that a graph writes out, such as x clip(x + 3, 0, 6) / 6, made one operator.

Whatever the order of its nodes, such a piece is a function of one number: it is followed on samples
of that number and compared with the activations that kernels know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import erf, expit

from edgetransfer.engines.sparse.plan import Activation, Combination, Kind, Operator, Plan

Samples = np.ndarray[Any, np.dtype[np.float64]]
# What a tensor is as a function of each tensor that it depends on number by number.
Functions = dict[int, Samples]

# Dense where functions bend, and far out, where a bound would show.
SAMPLES: Samples = np.concatenate(
    [np.linspace(-9, 9, 361), np.array([-1e4, -300.0, -40.0, -20.0, 20.0, 40.0, 300.0, 1e4])]
)
# Of a function's value; constants are written out in float32.
TOLERANCE = 2e-6
# Tensors that are followed back from each.
MOST_ROOTS = 10


def _gelu_tanh(x: Samples) -> Samples:
    inner: Samples = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    return x / 2 * (1 + np.tanh(inner))


def _softplus(x: Samples) -> Samples:
    made: Samples = np.logaddexp(0, x)
    return made


FUNCTIONS: dict[Activation, Callable[[Samples, float, float], Samples]] = {
    Activation.NONE: lambda x, _low, _high: x,
    Activation.RELU: lambda x, _low, _high: np.maximum(x, 0),
    Activation.CLIP: lambda x, low, high: np.minimum(np.maximum(x, low), high),
    Activation.LEAKY: lambda x, low, _high: np.maximum(x, x * low),
    Activation.HARD_SWISH: lambda x, _low, _high: x * np.clip(x / 6 + 0.5, 0, 1),
    Activation.SIGMOID: lambda x, _low, _high: expit(x),
    Activation.HARD_SIGMOID: lambda x, low, high: np.clip(low * x + high, 0, 1),
    Activation.SILU: lambda x, low, _high: x * expit(low * x),
    Activation.GELU: lambda x, _low, _high: x / 2 * (1 + erf(x / np.sqrt(2))),
    Activation.GELU_TANH: lambda x, _low, _high: _gelu_tanh(x),
    Activation.TANH: lambda x, _low, _high: np.tanh(x),
    Activation.ERF: lambda x, _low, _high: erf(x),
    Activation.EXP: lambda x, _low, _high: np.exp(x),
    Activation.SQRT: lambda x, _low, _high: np.sqrt(x),
    Activation.ELU: lambda x, low, _high: np.where(x > 0, x, low * np.expm1(np.minimum(x, 0))),
    Activation.MISH: lambda x, _low, _high: x * np.tanh(_softplus(x)),
    Activation.SOFTPLUS: lambda x, _low, _high: _softplus(x),
}
COMBINED: dict[Combination, Callable[[Samples, Samples], Samples]] = {
    Combination.ADD: np.add,
    Combination.SUBTRACT: np.subtract,
    Combination.MULTIPLY: np.multiply,
    Combination.DIVIDE: np.divide,
    Combination.LARGER: np.maximum,
    Combination.SMALLER: np.minimum,
}
# What is looked for, with its constants.
KNOWN: tuple[tuple[Activation, float, float], ...] = (
    (Activation.HARD_SWISH, 0, 0),
    (Activation.HARD_SIGMOID, 1 / 6, 0.5),
    (Activation.SILU, 1, 0),
    (Activation.SILU, 1.702, 0),
    (Activation.GELU, 0, 0),
    (Activation.GELU_TANH, 0, 0),
    (Activation.MISH, 0, 0),
    (Activation.SIGMOID, 0, 0),
)


def recognise(plan: Plan) -> None:
    """Replace what computes a known activation in place; operators that nothing reads are left."""
    known: dict[int, Functions] = {}
    with np.errstate(all="ignore"):
        wanted = [(k, low, high, FUNCTIONS[k](SAMPLES, low, high)) for k, low, high in KNOWN]
        for place, operator in enumerate(plan.operators):
            functions = _functions(operator, known)
            found = _match(functions, wanted) if _may_end(operator) else None
            if found is not None:
                source, kind, low, high = found
                plan.operators[place] = Operator(
                    kind=Kind.ADD, source=source, out=operator.out, activation=kind, low=low,
                    high=high, name=operator.name,
                )  # fmt: skip
            if operator.kind is not Kind.COPY:
                known[operator.out] = functions
    _leave_out_unread(plan)


def _may_end(operator: Operator) -> bool:
    return operator.kind in (Kind.COMBINE, Kind.DEPTHWISE)


def _functions(operator: Operator, known: dict[int, Functions]) -> Functions:
    """What an operator writes, of each tensor that it is a function of number by number."""
    source = known.get(operator.source, {}) | {operator.source: SAMPLES}
    made: Functions = {}
    if operator.kind is Kind.ADD and operator.second < 0:
        made = source
    elif operator.kind is Kind.COMBINE or operator.kind is Kind.ADD:
        how = operator.mixing.combination if operator.mixing else Combination.ADD
        second = known.get(operator.second, {}) | {operator.second: SAMPLES}
        made = {r: COMBINED[how](v, second[r]) for r, v in source.items() if r in second}
    elif (line := _line(operator)) is not None:
        made = {r: line[0] * v + line[1] for r, v in source.items()}
    act = FUNCTIONS[operator.activation]
    latest = list(made.items())[-MOST_ROOTS:]
    return {r: act(v, operator.low, operator.high) for r, v in latest}


def _line(operator: Operator) -> tuple[float, float] | None:
    """The one factor and number of all channels of a scale, or None."""
    if not operator.is_scale:
        return None
    assert operator.weights is not None
    assert operator.bias is not None
    factor, number = operator.weights.reshape(-1), operator.bias.reshape(-1)
    if (factor != factor[0]).any() or (number != number[0]).any():
        return None
    return float(factor[0]), float(number[0])


def _match(
    functions: Functions, wanted: list[tuple[Activation, float, float, Samples]]
) -> tuple[int, Activation, float, float] | None:
    for root, values in functions.items():  # the farthest first
        for kind, low, high, expected in wanted:
            if (np.abs(values - expected) <= TOLERANCE * np.maximum(1, np.abs(expected))).all():
                return root, kind, low, high
    return None


def _leave_out_unread(plan: Plan) -> None:
    needed, kept = {plan.output}, []
    for operator in reversed(plan.operators):
        if operator.out in needed:
            needed.update(operator.reads)
            kept.append(operator)
    plan.operators = kept[::-1]
