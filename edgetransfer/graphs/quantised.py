"""ONNX Runtime's own operators on 8-bit numbers, by the standard's.

Each is what the standard calls dequantise, compute, quantise (ONNX Runtime's list of contributed
operators defines them so, up to rounding). Operators that the standard has (``QLinearConv``,
``ConvInteger``, ``MatMulInteger``, ``QLinearMatMul`` and the dynamic ones) stay as they are.
"""

from __future__ import annotations

from typing import Any

import onnx

from edgetransfer.graphs.decomposition import MICROSOFT
from edgetransfer.graphs.graph import attribute
from edgetransfer.graphs.rewriting import Replacement, Rewrite


def _at(node: onnx.NodeProto, at: int) -> str:
    return str(node.input[at]) if len(node.input) > at else ""


def _real(r: Replacement, node: onnx.NodeProto, at: int, **options: Any) -> str:
    """What the three inputs (values, scale, zero point) from ``at`` stand for."""
    inputs = [name for name in (_at(node, at), _at(node, at + 1), _at(node, at + 2)) if name]
    return r.add("DequantizeLinear", *inputs, **options)


def _rounded(r: Replacement, node: onnx.NodeProto, x: str, at: int) -> bool:
    """End in the node's output, by the scale and zero point at two of its inputs."""
    inputs = [name for name in (_at(node, at), _at(node, at + 1)) if name]
    r.add("QuantizeLinear", x, *inputs, out=node.output[0])
    return True


def _of_two(operator: str) -> Rewrite:
    def rewrite(r: Replacement, node: onnx.NodeProto) -> bool:
        return _rounded(r, node, r.add(operator, _real(r, node, 0), _real(r, node, 3)), 6)

    return rewrite


def _of_one(operator: str, *kept: str) -> Rewrite:
    def rewrite(r: Replacement, node: onnx.NodeProto) -> bool:
        if attribute(node, "channels_last", 0):
            return False
        options = {name: v for name in kept if (v := attribute(node, name)) is not None}
        return _rounded(r, node, r.add(operator, _real(r, node, 0), **options), 3)

    return rewrite


def _mean(r: Replacement, node: onnx.NodeProto) -> bool:
    axes, keepdims = attribute(node, "axes"), attribute(node, "keepdims", 1)
    if axes is None or keepdims != 1:
        return False
    return _rounded(r, node, r.mean(_real(r, node, 0), [int(a) for a in axes]), 3)


def _joined(r: Replacement, node: onnx.NodeProto) -> bool:
    parts = [_real(r, node, at) for at in range(2, len(node.input), 3)]
    return _rounded(r, node, r.add("Concat", *parts, axis=attribute(node, "axis", 1)), 0)


def _gemm(r: Replacement, node: onnx.NodeProto) -> bool:
    turned = int(attribute(node, "transB", 0))
    alpha = float(attribute(node, "alpha", 1.0))
    inputs = [_real(r, node, 0), _real(r, node, 3, axis=0 if turned else 1)]
    if _at(node, 6):
        scale = r.add("Mul", _at(node, 1), _at(node, 4))
        if alpha != 1:
            scale = r.add("Mul", scale, r.constant(alpha))
        inputs.append(r.add("DequantizeLinear", _at(node, 6), scale, axis=0))
    options: dict[str, Any] = {
        "transA": int(attribute(node, "transA", 0)),
        "transB": turned,
        "alpha": alpha,
    }
    if not _at(node, 7):
        r.add("Gemm", *inputs, out=node.output[0], **options)
        return True
    return _rounded(r, node, r.add("Gemm", *inputs, **options), 7)


def _product(
    r: Replacement, pair: tuple[str, str], scales: tuple[str, str], zeros: list[str], out: str
) -> None:
    """A product of whole numbers, brought back to real ones."""
    whole = r.add("MatMulInteger", *pair, *zeros)
    real = r.add("Cast", whole, to=onnx.TensorProto.FLOAT)
    r.add("Mul", real, r.add("Mul", *scales), out=out)


def _product_to_real(r: Replacement, node: onnx.NodeProto) -> bool:
    bias = _at(node, 6)
    made = r.name() if bias else node.output[0]
    scales, zeros = (_at(node, 2), _at(node, 3)), [_at(node, 4), _at(node, 5)]
    _product(r, (_at(node, 0), _at(node, 1)), scales, zeros, made)
    if bias:
        r.add("Add", made, bias, out=node.output[0])
    return True


def _dynamic_product(r: Replacement, node: onnx.NodeProto) -> bool:
    values, scale, zero = (r.name() for _ in range(3))
    r.nodes.append(
        onnx.helper.make_node("DynamicQuantizeLinear", [_at(node, 0)], [values, scale, zero])
    )
    bias = _at(node, 4)
    made = r.name() if bias else node.output[0]
    _product(r, (values, _at(node, 1)), (scale, _at(node, 2)), [zero, _at(node, 3)], made)
    if bias:
        r.add("Add", made, bias, out=node.output[0])
    return True


def _as_standard(r: Replacement, node: onnx.NodeProto) -> bool:
    r.add(node.op_type, *node.input, out=node.output[0], axis=attribute(node, "axis", 1))
    return True


QUANTISED_FORMS: dict[tuple[str, str], Rewrite] = {
    (MICROSOFT, "QLinearAdd"): _of_two("Add"),
    (MICROSOFT, "QLinearMul"): _of_two("Mul"),
    (MICROSOFT, "QLinearSigmoid"): _of_one("Sigmoid"),
    (MICROSOFT, "QLinearLeakyRelu"): _of_one("LeakyRelu", "alpha"),
    (MICROSOFT, "QLinearSoftmax"): _of_one("Softmax", "axis"),
    (MICROSOFT, "QLinearGlobalAveragePool"): _of_one("GlobalAveragePool"),
    (MICROSOFT, "QLinearAveragePool"): _of_one(
        "AveragePool",
        *("kernel_shape", "strides", "pads", "auto_pad", "ceil_mode", "count_include_pad"),
    ),
    (MICROSOFT, "QLinearReduceMean"): _mean,
    (MICROSOFT, "QLinearConcat"): _joined,
    (MICROSOFT, "QGemm"): _gemm,
    (MICROSOFT, "MatMulIntegerToFloat"): _product_to_real,
    (MICROSOFT, "DynamicQuantizeMatMul"): _dynamic_product,
    (MICROSOFT, "QuantizeLinear"): _as_standard,
    (MICROSOFT, "DequantizeLinear"): _as_standard,
}
