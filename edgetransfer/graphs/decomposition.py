"""Operators of newer opsets, and those that ONNX Runtime fuses, in terms that all engines know.

Definitions: the ONNX operator reference (Gelu-20, GroupNormalization-21, RMSNormalization-23,
Attention-23, Swish-24) and ONNX Runtime's list of contributed operators.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx

from edgetransfer.graphs.graph import attribute
from edgetransfer.graphs.rewriting import Replacement, Rewrite

MICROSOFT = "com.microsoft"


def _text(node: onnx.NodeProto, name: str, default: str = "") -> str:
    value = attribute(node, name, default)
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _input(node: onnx.NodeProto, at: int) -> str:
    return str(node.input[at]) if len(node.input) > at else ""


def _erf_gelu(r: Replacement, x: str, out: str) -> None:
    inner = r.add("Erf", r.add("Div", x, r.constant(math.sqrt(2))))
    half = r.add("Mul", x, r.add("Add", inner, r.constant(1)))
    r.add("Mul", half, r.constant(0.5), out=out)


def _tanh_gelu(r: Replacement, x: str, out: str) -> None:
    cube = r.add("Mul", r.add("Mul", r.add("Mul", x, x), x), r.constant(0.044715))
    inner = r.add("Mul", r.add("Add", x, cube), r.constant(math.sqrt(2 / math.pi)))
    half = r.add("Mul", x, r.add("Add", r.add("Tanh", inner), r.constant(1)))
    r.add("Mul", half, r.constant(0.5), out=out)


def _gelu(r: Replacement, node: onnx.NodeProto) -> bool:
    form = _tanh_gelu if _text(node, "approximate", "none") == "tanh" else _erf_gelu
    form(r, node.input[0], node.output[0])
    return True


def _fast_gelu(r: Replacement, node: onnx.NodeProto) -> bool:
    x = r.add("Add", node.input[0], node.input[1]) if _input(node, 1) else node.input[0]
    _tanh_gelu(r, x, node.output[0])
    return True


def _bias_gelu(r: Replacement, node: onnx.NodeProto) -> bool:
    _erf_gelu(r, r.add("Add", node.input[0], node.input[1]), node.output[0])
    return True


def _swish(r: Replacement, node: onnx.NodeProto) -> bool:
    alpha = float(attribute(node, "alpha", 1.702 if node.op_type == "QuickGelu" else 1.0))
    x = node.input[0]
    scaled = x if alpha == 1 else r.add("Mul", x, r.constant(alpha))
    r.add("Mul", x, r.add("Sigmoid", scaled), out=node.output[0])
    return True


def _activated(r: Replacement, x: str, kind: str, parameters: list[float], out: str) -> bool:
    """The activations that ONNX Runtime fuses behind a layer; False for an unknown one."""
    if kind in ("Relu", "Sigmoid", "Tanh", "Softplus"):
        r.add(kind, x, out=out)
    elif kind == "LeakyRelu":
        r.add(kind, x, out=out, alpha=(parameters or [0.01])[0])
    elif kind == "HardSigmoid":
        alpha, beta = (*parameters, *(0.2, 0.5)[len(parameters) :])[:2]
        r.add(kind, x, out=out, alpha=alpha, beta=beta)
    elif kind == "Clip" and len(parameters) == 2:
        low, high = (r.constant(value) for value in parameters)
        r.add("Clip", x, low, high, out=out)
    elif kind == "QuickGelu":
        scaled = r.add("Mul", x, r.constant((parameters or [1.702])[0]))
        r.add("Mul", x, r.add("Sigmoid", scaled), out=out)
    else:
        return False
    return True


def _plain_attributes(node: onnx.NodeProto, *left_out: str) -> dict[str, Any]:
    return {
        item.name: onnx.helper.get_attribute_value(item)
        for item in node.attribute
        if item.name not in left_out and not item.name.startswith("activation")
    }


def _fused_layer(operator: str) -> Rewrite:
    def rewrite(r: Replacement, node: onnx.NodeProto) -> bool:
        kind = _text(node, "activation")
        parameters = [float(v) for v in attribute(node, "activation_params", [])]
        for name in ("activation_alpha", "activation_beta", "activation_gamma"):
            if operator == "Gemm" and (value := attribute(node, name)) is not None:
                parameters.append(float(value))
        plain = _plain_attributes(node)
        inputs = list(node.input)
        added = inputs.pop(3) if operator == "Conv" and len(inputs) > 3 else ""
        if not kind and not added:
            r.add(operator, *inputs, out=node.output[0], **plain)
            return True
        x = r.add(operator, *inputs, **plain)
        if added and not kind:
            r.add("Add", x, added, out=node.output[0])
            return True
        x = r.add("Add", x, added) if added else x
        return _activated(r, x, kind, parameters, node.output[0])

    return rewrite


def _fused_product(r: Replacement, node: onnx.NodeProto) -> bool:
    if attribute(node, "transBatchA", 0) or attribute(node, "transBatchB", 0):
        return False
    a, b = node.input[0], node.input[1]
    # Only the last two axes change places; how many there are is known for matrices of weights
    # and pictures' tokens alone, so the order is worked out from the shape where it must be.
    for which, name in enumerate(("transA", "transB")):
        if attribute(node, name, 0):
            turned = _last_two_turned(r, node.input[which])
            a, b = (turned, b) if which == 0 else (a, turned)
    alpha = float(attribute(node, "alpha", 1.0))
    if alpha == 1:
        r.add("MatMul", a, b, out=node.output[0])
    else:
        r.add("Mul", r.add("MatMul", a, b), r.constant(alpha), out=node.output[0])
    return True


def _last_two_turned(r: Replacement, x: str) -> str:
    """A tensor of any number of dimensions with its last two exchanged: by way of three."""
    shape = r.add("Shape", x)
    minus = [r.constant([n], np.int64) for n in (-2, -1)]
    rows, columns = (r.add("Gather", shape, at, axis=0) for at in minus)
    rest = r.constant([-1], np.int64)
    flat = r.add("Reshape", x, r.add("Concat", rest, rows, columns, axis=0))
    turned = r.add("Transpose", flat, perm=[0, 2, 1])
    zero, axes = r.constant([0], np.int64), r.constant([0], np.int64)
    leading = r.add("Slice", shape, zero, minus[0], axes)
    return r.add("Reshape", turned, r.add("Concat", leading, columns, rows, axis=0))


def _normalised(
    r: Replacement, x: str, scale: str, bias: str, epsilon: float, axes: list[int], out: str
) -> None:
    """Layer normalisation over some axes; without a bias and centre it is RMS normalisation."""
    centred = r.add("Sub", x, r.mean(x, axes))
    spread = r.add("Add", r.mean(r.add("Mul", centred, centred), axes), r.constant(epsilon))
    even = r.add("Div", centred, r.add("Sqrt", spread))
    if not bias:
        r.add("Mul", even, scale, out=out)
        return
    r.add("Add", r.add("Mul", even, scale), bias, out=out)


def _layer_norm(r: Replacement, node: onnx.NodeProto) -> bool:
    axis = attribute(node, "axis", -1)
    if (not node.domain and r.opset >= 17) or axis >= 0 or any(node.output[1:]):
        return False
    axes, epsilon = list(range(axis, 0)), float(attribute(node, "epsilon", 1e-5))
    x, scale = node.input[0], node.input[1]
    _normalised(r, x, scale, _input(node, 2), epsilon, axes, node.output[0])
    return True


def _skip_layer_norm(r: Replacement, node: onnx.NodeProto) -> bool:
    if any(node.output[1:3]):
        return False
    total = r.add("Add", node.input[0], node.input[1])
    if _input(node, 4):
        total = r.add("Add", total, node.input[4])
    if len(node.output) > 3 and node.output[3]:
        r.add("Identity", total, out=node.output[3])
    epsilon = float(attribute(node, "epsilon", 1e-12))
    _normalised(r, total, node.input[2], _input(node, 3), epsilon, [-1], node.output[0])
    return True


def _rms_norm(r: Replacement, node: onnx.NodeProto) -> bool:
    axis = attribute(node, "axis", -1)
    if axis >= 0:
        return False
    axes, x = list(range(axis, 0)), node.input[0]
    square = r.mean(r.add("Mul", x, x), axes)
    spread = r.add("Add", square, r.constant(float(attribute(node, "epsilon", 1e-5))))
    even = r.add("Div", x, r.add("Sqrt", spread))
    r.add("Mul", even, node.input[1], out=node.output[0])
    return True


def _group_norm(by_channel: bool) -> Rewrite:
    def rewrite(r: Replacement, node: onnx.NodeProto) -> bool:
        groups = int(attribute(node, "num_groups", 0))
        epsilon = float(attribute(node, "epsilon", 1e-5))
        x, scale, bias = node.input[:3]
        grouped = r.add("Reshape", x, r.constant([0, groups, -1], np.int64))
        ones, zeros = r.constant(np.ones(groups)), r.constant(np.zeros(groups))
        parameters = (ones, zeros) if by_channel else (scale, bias)
        even = r.add("InstanceNormalization", grouped, *parameters, epsilon=epsilon)
        shape = r.add("Shape", x)
        if not by_channel:
            r.add("Reshape", even, shape, out=node.output[0])
            return True
        even = r.add("Reshape", even, shape)
        channels = r.constant([-1, 1, 1], np.int64)
        scale, bias = (r.add("Reshape", name, channels) for name in (scale, bias))
        r.add("Add", r.add("Mul", even, scale), bias, out=node.output[0])
        return True

    return rewrite


def _attention(r: Replacement, node: onnx.NodeProto) -> bool:
    """Attention of the standard, as exporters write it: 4 dimensions, no memory of a past."""
    plain = not any(node.output[1:]) and not any(node.input[4:]) and not _input(node, 6)
    heads = attribute(node, "q_num_heads") or attribute(node, "kv_num_heads")
    if not plain or heads or attribute(node, "is_causal", 0) or attribute(node, "softcap", 0.0):
        return False
    query, key, value = node.input[:3]
    scale = attribute(node, "scale")
    if scale is None:
        last = r.add("Gather", r.add("Shape", query), r.constant(-1, np.int64), axis=0)
        width = r.add("Cast", last, to=onnx.TensorProto.FLOAT)
        query = r.add("Div", query, r.add("Sqrt", width))
    else:
        query = r.add("Mul", query, r.constant(float(scale)))
    scores = r.add("MatMul", query, r.add("Transpose", key, perm=[0, 1, 3, 2]))
    if _input(node, 3):
        scores = r.add("Add", scores, node.input[3])
    r.add("MatMul", r.add("Softmax", scores, axis=-1), value, out=node.output[0])
    return True


STANDARD_FORMS: dict[tuple[str, str], Rewrite] = {
    ("", "Gelu"): _gelu,
    ("", "Swish"): _swish,
    ("", "RMSNormalization"): _rms_norm,
    ("", "Attention"): _attention,
    ("", "LayerNormalization"): _layer_norm,
    (MICROSOFT, "Gelu"): _gelu,
    (MICROSOFT, "FastGelu"): _fast_gelu,
    (MICROSOFT, "BiasGelu"): _bias_gelu,
    (MICROSOFT, "QuickGelu"): _swish,
    (MICROSOFT, "FusedConv"): _fused_layer("Conv"),
    (MICROSOFT, "FusedGemm"): _fused_layer("Gemm"),
    (MICROSOFT, "FusedMatMul"): _fused_product,
    (MICROSOFT, "TransposeMatMul"): _fused_product,
    (MICROSOFT, "SkipLayerNormalization"): _skip_layer_norm,
    (MICROSOFT, "LayerNormalization"): _layer_norm,
}
GROUPS_BY_CHANNEL = {("", "GroupNormalization"): _group_norm(by_channel=True)}
GROUPS_AS_ONE = {("", "GroupNormalization"): _group_norm(by_channel=False)}
