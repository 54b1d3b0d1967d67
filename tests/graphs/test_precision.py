"""Weights of other precisions, training's operators, and weights that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgetransfer.backbones import Backbone
from edgetransfer.errors import BackboneError
from tests.graphs.forms import IMAGES, agree, check, head, saved, unoptimised
from tests.graphs_made import Net, tiny

# Precision.


def in_precision(model: onnx.ModelProto, kind: int, casts: bool) -> onnx.ModelProto:
    """A copy in another precision, with its own input and output or with casts around."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    for tensor in copy.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        if kind == TensorProto.BFLOAT16:
            upper = (values.view(np.uint32) >> 16).astype(np.uint16)
            tensor.data_type, tensor.raw_data = kind, upper.tobytes()
        else:
            cast = values.astype({TensorProto.FLOAT16: "f2", TensorProto.DOUBLE: "f8"}[kind])
            tensor.CopyFrom(numpy_helper.from_array(cast, tensor.name))
    graph = copy.graph
    if not casts:
        for value in (*graph.input, *graph.output):
            value.type.tensor_type.elem_type = kind
        return copy
    old = graph.input[0].name
    for node in graph.node:
        node.input[:] = ["narrow" if name == old else name for name in node.input]
    graph.node.insert(0, helper.make_node("Cast", [old], ["narrow"], to=kind))
    last = graph.output[0].name
    for node in graph.node:
        node.output[:] = ["wide" if name == last else name for name in node.output]
    graph.node.append(helper.make_node("Cast", ["wide"], [last], to=TensorProto.FLOAT))
    return copy


PRECISIONS = {
    "float16": TensorProto.FLOAT16,
    "bfloat16": TensorProto.BFLOAT16,
    "float64": TensorProto.DOUBLE,
}


@pytest.mark.parametrize("casts", [True, False])
@pytest.mark.parametrize("opset", [13, 17, 21])
@pytest.mark.parametrize("name", PRECISIONS)
def test_other_precisions_are_read_as_float32(
    name: str, opset: int, casts: bool, tmp_path: Path
) -> None:
    plain = tiny(opset=opset, pooling="mean")
    model = in_precision(plain.model, PRECISIONS[name], casts)
    backbone = Backbone.open(saved(model, tmp_path))
    assert any(f"weights are {name}" in text for text in backbone.warnings)
    expected = unoptimised(plain.model, plain.features, IMAGES)
    bits = {"float16": 11, "bfloat16": 8, "float64": 24}[name]
    agree(backbone, expected, IMAGES, 8 * 2.0**-bits)
    for tensor in backbone.body.graph.initializer:
        assert tensor.data_type in (TensorProto.FLOAT, TensorProto.INT64)


def test_a_double_beyond_float32_is_refused_by_name(tmp_path: Path) -> None:
    model = in_precision(tiny().model, TensorProto.DOUBLE, casts=True)
    tensor = model.graph.initializer[0]
    values = numpy_helper.to_array(tensor).copy()
    values[0] = 1e300
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    with pytest.raises(BackboneError, match=f"{tensor.name!r} are float64 with values"):
        Backbone.open(saved(model, tmp_path))


# Training's operators.


@pytest.mark.parametrize("opset", [13, 14, 17])
def test_training_mode_becomes_inference(opset: int, tmp_path: Path) -> None:
    plain = tiny(opset=opset, dropout=True)
    model = onnx.ModelProto.FromString(plain.model.SerializeToString())
    counts = {"BatchNormalization": 0, "Dropout": 0}
    for node in model.graph.node:
        if node.op_type == "BatchNormalization":
            more = 2 if opset >= 14 else 4
            node.output.extend(f"{node.output[0]}_{i}" for i in range(more))
            if opset >= 14:
                node.attribute.append(helper.make_attribute("training_mode", 1))
        if node.op_type == "Dropout":
            node.input.extend(["ratio", "training"])
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    for name, value in (("ratio", np.float32(0.5)), ("training", np.array(True))):
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    backbone = Backbone.open(saved(model, tmp_path))
    (warning,) = [text for text in backbone.warnings if "training mode" in text]
    assert "1 layer normalised by the batch" in warning
    assert "1 layer dropped activations" in warning
    agree(backbone, unoptimised(plain.model, plain.features, IMAGES), IMAGES, 1e-5)


def test_evaluation_mode_is_no_news(tmp_path: Path) -> None:
    made = tiny(opset=17, dropout=True)
    backbone = check(made.model, tmp_path)
    assert not any("training" in text for text in backbone.warnings)


def test_random_numbers_are_refused(tmp_path: Path) -> None:
    model = tiny(opset=15).model
    noisy = helper.make_node("RandomNormalLike", [model.graph.node[0].output[0]], ["n"])
    model.graph.node.insert(1, noisy)
    model.graph.node[2].input[0] = "n"
    with pytest.raises(BackboneError, match=r"RandomNormalLike 'n' draws random numbers.*eval"):
        Backbone.open(saved(model, tmp_path))


# Weights that are none.


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", range(8))
def test_a_weight_that_is_no_number_is_named(value: float, where: int, tmp_path: Path) -> None:
    model = tiny().model
    tensor = [t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT][where]
    values = numpy_helper.to_array(tensor).copy()
    values.reshape(-1)[-1] = value
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    with pytest.raises(BackboneError, match=f"weights {tensor.name!r} are infinite or not numbers"):
        Backbone.open(saved(model, tmp_path))


def test_a_variance_below_zero_is_named(tmp_path: Path) -> None:
    model = tiny().model
    node = next(n for n in model.graph.node if n.op_type == "BatchNormalization")
    tensor = next(t for t in model.graph.initializer if t.name == node.input[4])
    tensor.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(tensor), tensor.name))
    with pytest.raises(BackboneError, match=f"variances {tensor.name!r} are negative"):
        Backbone.open(saved(model, tmp_path))


def test_infinite_limits_and_masks_are_meant(tmp_path: Path) -> None:
    net = Net(opset=17)
    x = net.conv("x", (3, 4))
    x = net.add("Clip", x, net.constant(0.0), net.constant(np.inf))
    pads = net.constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64)
    x = net.add("Pad", x, pads, net.constant(-np.inf))
    x = net.add("MaxPool", x, kernel_shape=[3, 3])
    mask = np.zeros((16, 16), np.float32)
    mask[:, 1::2] = -np.inf
    x = net.add("Mul", x, net.add("Softmax", net.add("Add", x, net.constant(mask)), axis=-1))
    check(head(net, x, 4), tmp_path)
