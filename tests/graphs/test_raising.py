"""Operators of older opsets, written in opset 13."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from edgetransfer.backbones import Backbone
from edgetransfer.graphs.canonical import canonicalise
from tests.graphs.forms import IMAGES, agree, check, head, saved, unoptimised
from tests.graphs_made import Net, run

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
