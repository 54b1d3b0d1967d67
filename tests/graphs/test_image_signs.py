"""What a graph says of the pixels that it expects, over the forms in which exporters write it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from edgetransfer.backbones import Backbone
from edgetransfer.graphs.canonical import load_canonical
from edgetransfer.graphs.graph import Graph
from edgetransfer.graphs.image_signs import affine_at_image
from edgetransfer.types import IMAGENET_MEAN, IMAGENET_STD
from tests.graphs_made import Net

MEAN, STD = np.array(IMAGENET_MEAN), np.array(IMAGENET_STD)
# For each: (operator, constant, constant first) in order, what a pixel p of 0 to 255 is fed as.
FORMS = {
    "half of bytes": ([("Div", 127.5, False), ("Sub", 1.0, False)], 1.0),
    "half, reversed": ([("Sub", 127.5, False), ("Mul", 1 / 127.5, False)], 1.0),
    "bytes by imagenet": ([("Sub", 255 * MEAN, False), ("Div", 255 * STD, False)], 1.0),
    "bytes to unit": ([("Mul", 1 / 255, True)], 1.0),
    "caffe": ([("Sub", [103.9, 116.8, 123.7], False)], 1.0),
    "caffe, added": ([("Add", [-103.9, -116.8, -123.7], True)], 1.0),
    "unit by imagenet": ([("Sub", MEAN, False), ("Div", STD, False)], 1 / 255),
    "unit to half": ([("Mul", 2.0, False), ("Sub", 1.0, False)], 1 / 255),
    "unit, turned": ([("Sub", 1.0, True)], 1 / 255),
    "batch normalisation of bytes": ([("BatchNormalization", (255 * MEAN, 255 * STD), False)], 1.0),
    "batch normalisation of unit": ([("BatchNormalization", (MEAN, STD), False)], 1 / 255),
}


def network(steps, *, layout: str, cast: bool, folder: Path) -> Path:
    net = Net()
    x = net.add("Cast", "x", to=TensorProto.FLOAT) if cast else "x"
    if layout == "NHWC":
        x = net.add("Transpose", x, perm=[0, 3, 1, 2])
    for kind, value, first in steps:
        if kind == "BatchNormalization":
            mean, std = value
            numbers = (np.ones(3), np.zeros(3), mean, np.square(std))
            x = net.add(kind, x, *(net.constant(n) for n in numbers), epsilon=0.0)
            continue
        value = np.asarray(value, np.float32)
        constant = net.constant(value.reshape(-1, 1, 1) if value.ndim else value)
        x = net.add(kind, *((constant, x) if first else (x, constant)))
    x = net.add("GlobalAveragePool", net.add("Relu", net.conv(x, (3, 8))))
    out = net.add("Gemm", net.add("Flatten", x), net.weights(4, 8), transB=1)
    shape = ["N", 3, 16, 16] if layout == "NCHW" else ["N", 16, 16, 3]
    onnx.save(net.model(shape, {out: ["N", 4]}), str(folder / "net.onnx"))
    return folder / "net.onnx"


@pytest.mark.parametrize("cast", [False, True])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("form", FORMS)
def test_a_scale_at_the_image_names_the_range_that_it_is_for(form, layout, cast, tmp_path) -> None:
    steps, per_byte = FORMS[form]
    path = network(steps, layout=layout, cast=cast, folder=tmp_path)
    found = affine_at_image(Graph(load_canonical(path)))
    assert found is not None
    # Worked out by doing the steps on one pixel.
    pixel = np.full(3, 100 * per_byte)
    for kind, value, first in steps:
        if kind == "BatchNormalization":
            pixel = (pixel - value[0]) / value[1]
        else:
            a, b = (value, pixel) if first else (pixel, value)
            done = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}
            pixel = done[kind](a, b)
    shown = np.broadcast_to(found[0] * 100 * per_byte + found[1], 3)
    np.testing.assert_allclose(shown, pixel, rtol=1e-5, atol=1e-6)
    (warning,) = Backbone.open(path).warnings
    wanted = ("0 to 255", "raw") if per_byte == 1 else ("0 to 1", "unit")
    assert f"expects pixels of {wanted[0]}" in warning
    assert f"--normalisation {wanted[1]}" in warning
    assert not Backbone.open(path, normalisation=wanted[1]).warnings


def test_a_network_without_constants_at_the_image_is_not_said_to_have_any(tmp_path) -> None:
    path = network([], layout="NCHW", cast=False, folder=tmp_path)
    (warning,) = Backbone.open(path).warnings
    assert "twice" not in warning
    assert "TensorFlow" not in warning


@pytest.mark.parametrize("sign", ["layout", "producer"])
def test_what_comes_from_keras_is_told_of_its_conventions(sign, tmp_path) -> None:
    layout = "NHWC" if sign == "layout" else "NCHW"
    path = network([], layout=layout, cast=False, folder=tmp_path)
    if sign == "producer":
        model = onnx.load(str(path))
        model.producer_name = "tf2onnx"
        onnx.save(model, str(path))
    (warning,) = Backbone.open(path).warnings
    assert "TensorFlow or Keras" in warning
    assert "caffe" in warning
