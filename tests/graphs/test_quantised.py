"""Networks of 8-bit numbers: ONNX Runtime's operators, the standard's pairs, dynamic ones."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgetransfer.backbones import Backbone
from tests.graphs.forms import IMAGES, saved, unoptimised
from tests.graphs_made import Net, relative_difference, run

MICROSOFT = "com.microsoft"


# 8-bit forms.


class Eight:
    """A graph of 8-bit numbers under construction, in ONNX Runtime's own operators and others."""

    def __init__(self, opset: int, per_channel: bool) -> None:
        self.net = Net(opset=opset)
        self.per_channel = per_channel
        self.scale, self.zero = self.net.constant(0.05), self.net.constant(120, np.uint8)

    @property
    def place(self) -> list[str]:
        return [self.scale, self.zero]

    def quantised(self, x: str) -> str:
        return self.net.add("QuantizeLinear", x, *self.place)

    def real(self, x: str) -> str:
        return self.net.add("DequantizeLinear", x, *self.place)

    def weights(self, *shape: int) -> list[str]:
        """Whole numbers, scale and zero point; a scale for each of the first axis, or one."""
        values = self.net.rng.integers(-127, 128, shape)
        scales = self.net.rng.uniform(0.5, 1.5, shape[0]) / 127 / math.sqrt(math.prod(shape[1:]))
        scales = scales * 2 if self.per_channel else scales[0] * 2
        zeros = np.zeros_like(scales, np.int8)
        return [
            self.net.constant(values, np.int8),
            self.net.constant(scales),
            self.net.constant(zeros, np.int8),
        ]

    def conv(self, x: str, channels: tuple[int, int]) -> str:
        weights = self.weights(channels[1], channels[0], 3, 3)
        return self.net.add("QLinearConv", x, *self.place, *weights, *self.place, pads=[1] * 4)

    def own(self, operator: str, *inputs: str, **attributes: Any) -> str:
        return self.net.add(operator, *inputs, domain=MICROSOFT, **attributes)


def operators(opset: int, per_channel: bool) -> tuple[onnx.ModelProto, str]:
    """ONNX Runtime's form: each operator by its counterpart on whole numbers."""
    q = Eight(opset, per_channel)
    x = q.conv(q.quantised("x"), (3, 4))
    y = q.conv(x, (4, 4))
    x = q.own("QLinearAdd", x, *q.place, y, *q.place, *q.place)
    x = q.own("QLinearSigmoid", x, *q.place, *q.place)
    x = q.own("QLinearMul", x, *q.place, y, *q.place, *q.place)
    x = q.own("QLinearLeakyRelu", x, *q.place, *q.place, alpha=0.2)
    x = q.own("QLinearConcat", *q.place, x, *q.place, y, *q.place, axis=1)
    x = q.own("QLinearAveragePool", x, *q.place, *q.place, kernel_shape=[2, 2], strides=[2, 2])
    x = q.own("QLinearGlobalAveragePool", x, *q.place, *q.place, channels_last=0)
    x = q.net.add("Flatten", x, axis=1)
    bias = q.net.constant(q.net.rng.integers(-99, 99, 6), np.int32)
    weights = q.weights(6, 8)
    x = q.own("QGemm", x, *q.place, *weights, bias, *q.place, transB=1, alpha=1.0)
    features = x = q.net.add("Relu", q.real(x))
    weights = q.net.weights(5, 6)
    out = q.net.add("Gemm", x, weights, q.net.constant(np.ones(5)), transB=1)
    return q.net.model(["N", 3, 16, 16], {out: ["N", 5]}), features


def pairs(opset: int, per_channel: bool) -> tuple[onnx.ModelProto, str]:
    """The standard's form: dequantise, compute, quantise."""
    q = Eight(opset, per_channel)
    x = q.real(q.quantised("x"))
    w = q.net.add("DequantizeLinear", *q.weights(4, 3, 3, 3), axis=0)
    x = q.real(q.quantised(q.net.add("Relu", q.net.add("Conv", x, w, pads=[1] * 4))))
    x = features = q.net.add("Flatten", q.net.add("GlobalAveragePool", x), axis=1)
    w = q.net.add("DequantizeLinear", *q.weights(5, 4), axis=0)
    out = q.net.add("Gemm", x, w, q.net.constant(np.ones(5)), transB=1)
    return q.net.model(["N", 3, 16, 16], {out: ["N", 5]}), features


def dynamic(opset: int, own: bool) -> tuple[onnx.ModelProto, str]:
    """Whole numbers by the range of what comes; in ONNX Runtime's operators, or the standard's."""
    q = Eight(opset, per_channel=False)
    x = q.net.add("Relu", q.net.conv("x", (3, 4)))
    x = q.net.add("Flatten", q.net.add("GlobalAveragePool", x), axis=1)
    weights, scale, zero = q.weights(4, 6)
    if own:
        bias = q.net.constant(np.linspace(-1, 1, 6))
        x = q.own("DynamicQuantizeMatMul", x, weights, scale, zero, bias)
    else:
        q.net.nodes.append(helper.make_node("DynamicQuantizeLinear", [x], ["q", "s", "z"]))
        whole = q.net.add("MatMulInteger", "q", weights, "z", zero)
        real = q.net.add("Cast", whole, to=TensorProto.FLOAT)
        x = q.net.add("Mul", real, q.net.add("Mul", "s", scale))
    features = x = q.net.add("Relu", x)
    out = q.net.add("Gemm", x, q.net.weights(5, 6), q.net.constant(np.ones(5)), transB=1)
    return q.net.model(["N", 3, 16, 16], {out: ["N", 5]}), features


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("finely", [False, True])
@pytest.mark.parametrize("form", [operators, pairs, dynamic])
def test_networks_of_8_bits(form: Any, finely: bool, opset: int, tmp_path: Path) -> None:
    model, features = form(opset, finely)
    model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    backbone = Backbone.open(saved(model, tmp_path))
    assert {node.domain for node in backbone.body.graph.node} == {""}
    assert backbone.cut.tensor == features
    expected = unoptimised(model, features, IMAGES[:1])
    # One step of a whole number, rounded the other way.
    assert relative_difference(run(backbone.frozen(1), IMAGES[:1]), expected) < 0.05
    assert run(backbone.frozen(4), IMAGES).shape == (4, expected.shape[1])
