"""Graphs of opsets 7 to 12, written in opset 13.

What changed between them is little and is written out here: attributes became inputs, softmax
lost its flattening, and upsampling its own operator (the ONNX operator changelog). The onnx
library's converter, which reads past a damaged graph's end, is needed for opsets below 7 alone,
and runs in a process of its own there.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import onnx

from edgetransfer.errors import BackboneError
from edgetransfer.graphs.graph import STANDARD, attribute, fill_in, opset_of, skeleton_of
from edgetransfer.graphs.rewriting import Replacement, Rewrite, rewrite
from edgetransfer.graphs.untrusted import one_line

OLDEST, RAISED = 7, 13
TIMEOUT = 120.0  # seconds: the converter takes less than one
Table = dict[tuple[str, str], Rewrite]


def raise_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    """Bring a model of an opset below 13 to opset 13; the argument may be changed.

    Raises
    ------
    BackboneError
        If it cannot be converted.
    """
    if opset_of(model) < OLDEST:
        model = _by_library(model)
    opset = opset_of(model)
    table: Table = {}
    for since, rules in CHANGES.items():
        if opset < since:
            # The oldest form decides: a rule goes from there to opset 13 at once.
            table = {**{("", name): rule for name, rule in rules.items()}, **table}
    rewrite(model, table, RAISED)
    for item in model.opset_import:
        if item.domain in STANDARD:
            item.version = max(item.version, RAISED)
    return model


def _others(node: onnx.NodeProto, *moved: str) -> dict[str, Any]:
    return {
        item.name: onnx.helper.get_attribute_value(item)
        for item in node.attribute
        if item.name not in moved
    }


def _again(
    r: Replacement, node: onnx.NodeProto, inputs: list[str], *moved: str, **changed: Any
) -> bool:
    """The node with other inputs, without some attributes and with others."""
    options = {**_others(node, *moved), **changed}
    copy = onnx.helper.make_node(node.op_type, inputs, list(node.output), **options)
    copy.name = node.name
    r.nodes.append(copy)
    return True


def _axes_to_input(r: Replacement, node: onnx.NodeProto) -> bool:
    name = "split" if node.op_type == "Split" else "axes"
    axes = attribute(node, name)
    if axes is None:
        return False
    return _again(r, node, [node.input[0], r.constant(axes, np.int64)], name)


def _softmax(r: Replacement, node: onnx.NodeProto) -> bool:
    """Before opset 13 all axes from ``axis`` on were one."""
    axis = int(attribute(node, "axis", 1))
    if axis == -1:
        return False
    x = node.input[0]
    flat = r.add(node.op_type, r.add("Flatten", x, axis=axis), axis=-1)
    r.add("Reshape", flat, r.add("Shape", x), out=node.output[0])
    return True


def _clip(r: Replacement, node: onnx.NodeProto) -> bool:
    limits = [attribute(node, name) for name in ("min", "max")]
    names = ["" if value is None else r.constant(value) for value in limits]
    return _again(r, node, [node.input[0], *names], "min", "max")


def _pad(r: Replacement, node: onnx.NodeProto) -> bool:
    pads = r.constant(attribute(node, "pads", []), np.int64)
    value = r.constant(float(attribute(node, "value", 0.0)))
    return _again(r, node, [node.input[0], pads, value], "pads", "value")


def _slice(r: Replacement, node: onnx.NodeProto) -> bool:
    names = [attribute(node, name) for name in ("starts", "ends", "axes")]
    inputs = [r.constant(values, np.int64) for values in names if values is not None]
    return _again(r, node, [node.input[0], *inputs], "starts", "ends", "axes")


def _top(r: Replacement, node: onnx.NodeProto) -> bool:
    count = r.constant([attribute(node, "k", 1)], np.int64)
    return _again(r, node, [node.input[0], count], "k")


def _dropout(r: Replacement, node: onnx.NodeProto) -> bool:
    return _again(r, node, [node.input[0]], "ratio", "seed", "is_test")


def _normalisation(r: Replacement, node: onnx.NodeProto) -> bool:
    if not attribute(node, "spatial", 1):
        raise BackboneError(
            f"node {node.name or node.output[0]!r} normalises each pixel by itself, which no "
            "opset since 9 knows; export the model anew"
        )
    return _again(r, node, list(node.input), "spatial")


def _enlarged(r: Replacement, node: onnx.NodeProto) -> bool:
    """Upsample, and Resize of opset 10: pixels are counted from the corner."""
    scales = attribute(node, "scales")
    given = node.input[1] if len(node.input) > 1 else r.constant(scales)
    mode = attribute(node, "mode", b"nearest")
    options: dict[str, Any] = {
        "mode": mode.decode(),
        "coordinate_transformation_mode": "asymmetric",
    }
    if mode == b"nearest":
        options["nearest_mode"] = "floor"
    r.add("Resize", node.input[0], "", given, out=node.output[0], **options)
    return True


def _scatter(r: Replacement, node: onnx.NodeProto) -> bool:
    r.add("ScatterElements", *node.input, out=node.output[0], **_others(node))
    return True


# By the opset that changed an operator: what brings an older node to opset 13.
CHANGES: dict[int, dict[str, Rewrite]] = {
    9: {"BatchNormalization": _normalisation},
    10: {"Slice": _slice, "TopK": _top, "Upsample": _enlarged},
    11: {"Clip": _clip, "Pad": _pad, "Resize": _enlarged, "Scatter": _scatter},
    12: {"Dropout": _dropout},
    13: {
        **dict.fromkeys(("Squeeze", "Unsqueeze", "ReduceSum", "Split"), _axes_to_input),
        **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), _softmax),
    },
}


def _by_library(model: onnx.ModelProto) -> onnx.ModelProto:
    """The onnx library's own conversion, in a child process that may fall."""
    skeleton = skeleton_of(model).SerializeToString()
    command = [sys.executable, "-c", CONVERT]
    try:
        child = subprocess.run(
            command, input=skeleton, capture_output=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise BackboneError(f"opset {opset_of(model)} could not be converted in time") from error
    if child.returncode or not child.stdout:
        lines = child.stderr.decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"its process ended with {child.returncode}"
        raise BackboneError(
            f"opset {opset_of(model)} cannot be converted to {RAISED} "
            f"({one_line(ValueError(reason))}); export the model anew with opset {RAISED}"
        )
    converted = onnx.ModelProto.FromString(child.stdout)
    fill_in(converted, model)
    return converted


CONVERT = f"""
import sys, onnx
model = onnx.ModelProto.FromString(sys.stdin.buffer.read())
converted = onnx.version_converter.convert_version(model, {RAISED})
sys.stdout.buffer.write(converted.SerializeToString())
"""
