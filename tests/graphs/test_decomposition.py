"""Operators of newer opsets and of ONNX Runtime, in terms that all engines know."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from edgetransfer.backbones import Backbone
from edgetransfer.errors import BackboneError
from tests.graphs.forms import IMAGES, agree, check, head, saved, unoptimised
from tests.graphs_made import Net, tiny

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
