"""Operators of newer and older opsets and of ONNX Runtime, in terms that all engines know."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.canonical import canonicalise
from edgetransfer.errors import BackboneError
from tests.backbones.forms import IMAGES, agree, check, head, saved, unoptimised
from tests.graphs import Net, relative_difference, run, tiny

MICROSOFT = "com.microsoft"
erf = np.vectorize(math.erf)


def gelu(x: np.ndarray) -> np.ndarray:
    return x * 0.5 * (1 + erf(x / math.sqrt(2)))


def tanh_gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def swish(alpha: float) -> Any:
    return lambda x: x / (1 + np.exp(-alpha * x))


def rms(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)


def groups(x: np.ndarray) -> np.ndarray:
    parts = x.reshape(len(x), 2, -1)
    spread = np.sqrt(parts.var(2, keepdims=True) + 1e-5)
    return ((parts - parts.mean(2, keepdims=True)) / spread).reshape(x.shape)


# Operator, attributes, constants after the image, opset, and what it computes.
NEWER: dict[str, tuple[str, dict[str, Any], list[np.ndarray], int, Any]] = {
    "gelu": ("Gelu", {}, [], 20, gelu),
    "gelu, newest": ("Gelu", {"approximate": "none"}, [], 23, gelu),
    "gelu by tanh": ("Gelu", {"approximate": "tanh"}, [], 20, tanh_gelu),
    "swish": ("Swish", {}, [], 24, swish(1)),
    "swish with alpha": ("Swish", {"alpha": 1.5}, [], 24, swish(1.5)),
    "rms": ("RMSNormalization", {"epsilon": 1e-5}, [np.ones(16)], 23, rms),
    "groups of channels": (
        "GroupNormalization", {"num_groups": 2}, [np.ones(4), np.zeros(4)], 21, groups,
    ),
    "groups": ("GroupNormalization", {"num_groups": 2}, [np.ones(2), np.zeros(2)], 18, groups),
}  # fmt: skip


@pytest.mark.parametrize("name", NEWER)
def test_operators_born_after_opset_19(name: str, tmp_path: Path) -> None:
    operator, attributes, constants, opset, function = NEWER[name]
    net = Net(opset=opset)
    before = net.conv("x", (3, 4))
    after = net.add(operator, before, *(net.constant(c) for c in constants), **attributes)
    model = head(net, after, 4)
    backbone = Backbone.open(saved(model, tmp_path))
    first = onnx.ModelProto.FromString(model.SerializeToString())
    del first.graph.node[1:]
    first.opset_import[0].version, first.ir_version = 17, 8
    rows = unoptimised(first, before, IMAGES).reshape(4, 4, 16, 16).astype(np.float64)
    agree(backbone, function(rows).mean((2, 3)), IMAGES, 1e-5)
    assert backbone.body.opset_import[0].version <= 19


def test_attention_of_opset_23(tmp_path: Path) -> None:
    net = Net(opset=23)
    x = net.conv("x", (3, 4))
    model = head(net, net.add("Attention", x, x, x), 4)
    backbone = Backbone.open(saved(model, tmp_path))
    first = onnx.ModelProto.FromString(model.SerializeToString())
    del first.graph.node[1:]
    first.opset_import[0].version, first.ir_version = 17, 8
    q = unoptimised(first, x, IMAGES).reshape(4, 4, 16, 16).astype(np.float64)
    scores = np.exp(q @ q.transpose(0, 1, 3, 2) / 4)
    expected = (scores / scores.sum(-1, keepdims=True) @ q).mean((2, 3))
    agree(backbone, expected, IMAGES, 1e-5)


# ONNX Runtime's own: the runtime itself is the reference.
FUSED: dict[str, tuple[str, dict[str, Any], list[np.ndarray]]] = {
    "gelu": ("Gelu", {}, []),
    "fast gelu": ("FastGelu", {}, []),
    "fast gelu with a bias": ("FastGelu", {}, [np.linspace(-1, 1, 16)]),
    "gelu with a bias": ("BiasGelu", {}, [np.linspace(-1, 1, 16)]),
    "quick gelu": ("QuickGelu", {"alpha": 1.3}, []),
    "product": ("FusedMatMul", {"alpha": 0.5}, [np.eye(16) + 0.1]),
    "product, turned": ("FusedMatMul", {"transB": 1}, [np.tri(16)]),
    "product, both turned": ("FusedMatMul", {"transA": 1, "transB": 1}, [np.tri(16)]),
}


@pytest.mark.parametrize("opset", [13, 17])
@pytest.mark.parametrize("name", FUSED)
def test_operators_of_onnx_runtime(name: str, opset: int, tmp_path: Path) -> None:
    operator, attributes, constants = FUSED[name]
    net = Net(opset=opset)
    x = net.conv("x", (3, 4))
    x = net.add(operator, x, *(net.constant(c) for c in constants), domain=MICROSOFT, **attributes)
    model = head(net, x, 4)
    model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    backbone = check(model, tmp_path)
    assert {node.domain for node in backbone.body.graph.node} == {""}


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize(
    ("activation", "parameters"),
    [
        ("Relu", []),
        ("Sigmoid", []),
        ("Tanh", []),
        ("LeakyRelu", [0.2]),
        ("Clip", [-0.5, 0.75]),
        ("HardSigmoid", [0.3, 0.4]),
        ("", []),
    ],
)
def test_fused_convolutions(
    activation: str, parameters: list[float], added: bool, tmp_path: Path
) -> None:
    net = Net(opset=17)
    x = net.conv("x", (3, 4))
    inputs = [x, net.weights(4, 4, 3, 3), net.constant(np.linspace(-1, 1, 4))]
    options: dict[str, Any] = {"pads": [1] * 4}
    if activation:
        options["activation"] = activation
    if parameters:
        options["activation_params"] = parameters
    x = net.add("FusedConv", *inputs, *([x] if added else []), domain=MICROSOFT, **options)
    model = head(net, x, 4)
    model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    check(model, tmp_path)


@pytest.mark.parametrize("skip_bias", [False, True])
def test_skip_layer_normalisation(skip_bias: bool, tmp_path: Path) -> None:
    net = Net(opset=17)
    x = net.conv("x", (3, 4))
    x = net.add("Reshape", x, net.constant([0, 4, 256], np.int64))
    gamma, beta = net.constant(np.linspace(0.5, 1.5, 256)), net.constant(np.linspace(-1, 1, 256))
    bias = [net.constant(np.linspace(0, 2, 256))] if skip_bias else []
    y = net.add("Relu", x)
    x = net.add("SkipLayerNormalization", x, y, gamma, beta, *bias, domain=MICROSOFT, epsilon=1e-6)
    x = net.add("Reshape", x, net.constant([0, 4, 16, 16], np.int64))
    model = head(net, x, 4)
    model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    check(model, tmp_path)


LEVELS = ("ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("opset", [13, 18])
def test_files_that_onnx_runtime_saved(level: str, opset: int, tmp_path: Path) -> None:
    plain = tiny(opset=opset, batch=1, flatten="reshape", softmax=True)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.optimized_model_filepath = str(tmp_path / "saved.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(plain.model.SerializeToString(), options)
    backbone = Backbone.open(tmp_path / "saved.onnx")
    agree(backbone, unoptimised(plain.model, plain.features, IMAGES), IMAGES, 1e-5)


def test_an_operator_of_no_standard_is_named_with_the_mend(tmp_path: Path) -> None:
    net = Net(opset=17)
    x = net.add("Whatever", net.conv("x", (3, 4)), domain="com.microsoft.nchwc")
    model = head(net, x, 4)
    model.opset_import.append(helper.make_opsetid("com.microsoft.nchwc", 1))
    name = model.graph.node[1].name
    said = rf"node com\.microsoft\.nchwc\.Whatever '{name}' is no operator .*ORT_ENABLE_BASIC"
    with pytest.raises(BackboneError, match=said):
        Backbone.open(saved(model, tmp_path)).frozen(1)


# Opsets 7 to 12: operator, attributes, constants after the input, first and last such opset.
OLDER: dict[str, tuple[str, dict[str, Any], list[Any], int, int]] = {
    "clip": ("Clip", {"min": -0.5, "max": 0.5}, [], 7, 10),
    "clip below": ("Clip", {"min": 0.1}, [], 7, 10),
    "clip by inputs": ("Clip", {}, [np.float32(-0.5), np.float32(0.5)], 11, 12),
    "pad": ("Pad", {"pads": [0, 0, 1, 2, 0, 0, 3, 4], "value": 0.25}, [], 7, 10),
    "pad by reflection": ("Pad", {"pads": [0, 0, 1, 2, 0, 0, 3, 4], "mode": "reflect"}, [], 7, 10),
    "slice": ("Slice", {"starts": [1, 2], "ends": [9, -1], "axes": [2, 3]}, [], 7, 9),
    "slice of all axes": ("Slice", {"starts": [0, 0, 1, 2], "ends": [9, 9, 9, 9]}, [], 7, 9),
    "softmax": ("Softmax", {"axis": 3}, [], 7, 12),
    "softmax of all": ("Softmax", {}, [], 7, 12),
    "softmax of the last": ("Softmax", {"axis": -1}, [], 11, 12),
    "log softmax": ("LogSoftmax", {"axis": 2}, [], 7, 12),
    "dropout": ("Dropout", {"ratio": 0.5}, [], 7, 11),
    "upsample": ("Upsample", {"mode": "nearest", "scales": [1.0, 1.0, 2.0, 2.0]}, [], 7, 8),
    "upsample linearly": ("Upsample", {"mode": "linear"}, [[1.0, 1.0, 2.0, 2.0]], 9, 9),
    "resize": ("Resize", {"mode": "nearest"}, [[1.0, 1.0, 1.5, 1.5]], 10, 10),
    "resize linearly": ("Resize", {"mode": "linear"}, [[1.0, 1.0, 2.0, 2.0]], 10, 10),
    "sum": ("ReduceSum", {"axes": [3], "keepdims": 1}, [], 7, 12),
}


def made_in(opset: int, name: str) -> onnx.ModelProto:
    operator, attributes, constants, _, _ = OLDER[name]
    net = Net(opset=opset)
    x = net.conv("x", (3, 4))
    kind = np.float32
    x = net.add(operator, x, *(net.constant(c, kind) for c in constants), **attributes)
    return head(net, x, 4)


@pytest.mark.parametrize(
    ("name", "opset"),
    [(name, opset) for name in OLDER for opset in {OLDER[name][3], OLDER[name][4]}],
)
def test_operators_of_older_opsets(name: str, opset: int, tmp_path: Path) -> None:
    model = made_in(opset, name)
    reference = model
    if opset < 7:
        reference = onnx.version_converter.convert_version(model, 13)
    backbone = Backbone.open(saved(model, tmp_path))
    agree(backbone, unoptimised(reference, backbone.cut.tensor, IMAGES), IMAGES, 1e-5)
    assert backbone.body.opset_import[0].version == 13


def test_squeezing_and_splitting_of_older_opsets(tmp_path: Path) -> None:
    net = Net(opset=11)
    x = net.add("Unsqueeze", net.conv("x", (3, 4)), axes=[1])
    x = net.add("Squeeze", x, axes=[1])
    net.nodes.append(helper.make_node("Split", [x], ["a", "b"], axis=1, split=[1, 3]))
    check(head(net, net.add("Concat", "b", "a", axis=1), 4), tmp_path)


def test_an_opset_before_7_is_converted_in_a_child() -> None:
    net = Net(opset=6)
    model = head(net, net.add("Relu", net.conv("x", (3, 4))), 4)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 4
    model.graph.node[-1].attribute.append(helper.make_attribute("broadcast", 1))
    expected = run(onnx.version_converter.convert_version(model, 13), IMAGES)
    np.testing.assert_allclose(run(canonicalise(model), IMAGES), expected, rtol=1e-4, atol=1e-6)


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
