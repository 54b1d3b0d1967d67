"""Additions and activations on the way out: what can do them, and what must not be asked to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgetransfer.engines.sparse.plan import (
    EPILOGUES,
    OF_TWO,
    Activation,
    Epilogues,
    Kind,
    Mixing,
    Operator,
    Plan,
)
from edgetransfer.errors import EngineError
from edgetransfer.native.compiling import why_absent
from tests.engines.fuzzing.comparing import compared
from tests.engines.sparse.plans import open_plan
from tests.engines.sparse.test_lowering import graph
from tests.engines.sparse.test_sharing import Step, flat
from tests.graphs_made import Net

needs_library = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))

CHANNELS = 3


def plan_of(kind: Kind, **epilogue: Any) -> Plan:
    """One operator on a point, and a tensor that it might add."""
    plan = Plan()
    plan.input = plan.tensor((CHANNELS, 1, 1))
    other, plan.output = plan.tensor((CHANNELS, 1, 1)), plan.tensor((CHANNELS, 1, 1))
    plan.add(Operator(kind=Kind.COPY, source=plan.input, out=other))
    convolves = kind in (Kind.CONVOLUTION, Kind.DEPTHWISE)
    groups = CHANNELS if kind is Kind.DEPTHWISE else 1
    weighted = convolves or kind in (Kind.NORMALISE, Kind.CONSTANT)
    weights = np.ones((CHANNELS, CHANNELS // groups, 1, 1), np.float32)
    origin = np.zeros((1, 3), np.int64)
    between = (np.zeros((1, 2), np.int64), np.zeros(1, np.float32))
    places = np.arange(CHANNELS)[:, None] * np.array([1, 0, 0])
    plan.add(
        Operator(
            kind=kind, source=plan.input, out=plan.output, **epilogue,
            groups=CHANNELS if kind is Kind.PRODUCT else groups,
            weights=(weights if convolves else weights[:, 0]) if weighted else None,
            bias=np.zeros(CHANNELS, np.float32) if weighted else None,
            mixing=Mixing(places=(places, origin, origin), between=(between, between)),
        )
    )  # fmt: skip
    return plan


def test_every_kind_says_what_it_can_do() -> None:
    assert set(EPILOGUES) == set(Kind)


@needs_library
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("activation", Activation)
@pytest.mark.parametrize("second", [-1, 1])
def test_both_sides_refuse_what_a_kernel_cannot_do(
    kind: Kind, activation: Activation, second: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    can = EPILOGUES[kind]
    if kind in OF_TWO:
        if second < 0:
            with pytest.raises(ValueError, match="takes two"):
                plan_of(kind, second=second)
            return
        can = Epilogues(addition=True, activation=can.activation)
    if (second < 0 or can.addition) and (activation is Activation.NONE or can.activation):
        open_plan(plan_of(kind, second=second, activation=activation)).close()
        return
    with pytest.raises(ValueError, match=kind.name):
        plan_of(kind, second=second, activation=activation)
    monkeypatch.setitem(EPILOGUES, kind, Epilogues(addition=True, activation=True))
    with pytest.raises(EngineError, match="that cannot"):
        open_plan(plan_of(kind, second=second, activation=activation))


ACTIVATIONS: dict[str, Step] = {
    "relu": lambda n, x: n.add("Relu", x),
    "clip": lambda n, x: n.add("Clip", x, n.constant(-0.05), n.constant(0.4)),
    "leaky": lambda n, x: n.add("LeakyRelu", x, alpha=0.1),
    "hard_swish": lambda n, x: n.add("HardSwish", x),
    "sigmoid": lambda n, x: n.add("Sigmoid", x),
    "hard_sigmoid": lambda n, x: n.add("HardSigmoid", x),
    "silu": lambda n, x: n.add("Mul", x, n.add("Sigmoid", x)),
    "tanh": lambda n, x: n.add("Tanh", x),
}
SUMMARIES: dict[str, Step] = {
    "global_average": lambda n, x: n.add("GlobalAveragePool", x),
    "global_maximum": lambda n, x: n.add("GlobalMaxPool", n.add("Sub", x, n.constant(2.0))),
    "mean": lambda n, x: n.add("ReduceMean", x, axes=[2, 3], keepdims=1),
    "flat_mean": lambda n, x: n.add("ReduceMean", x, axes=[-1, -2], keepdims=0),
    "whole_average": lambda n, x: n.add("AveragePool", x, kernel_shape=[12, 12]),
    "flattened": lambda n, x: n.add("Flatten", n.add("GlobalAveragePool", x)),
    "average_pool": lambda n, x: n.add("AveragePool", x, kernel_shape=[3, 3]),
    "max_pool": lambda n, x: n.add("MaxPool", x, kernel_shape=[2, 2]),
    "pad": lambda n, x: n.add("Pad", x, n.constant([0, 0, 1, 0, 0, 0, 0, 2], np.int64)),
    "joined": lambda n, x: n.add("Concat", x, n.conv(x, (8, 2)), axis=1),
    "input": lambda n, x: n.add("Identity", "x"),
}


@needs_library
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("summary", SUMMARIES)
def test_an_activation_is_done_whatever_it_stands_behind(activation: str, summary: str) -> None:
    def build(net: Net, x: str) -> str:
        return ACTIVATIONS[activation](net, SUMMARIES[summary](net, net.conv(x, (8, 8))))

    found = compared(flat(graph(build, opset=14, batch=5)), counts=(1, 2))
    assert not found.faulty, found
