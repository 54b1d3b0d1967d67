"""What a graph computes from constants and shapes: paddings, weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from tests.graphs.forms import check, head
from tests.graphs_made import Net

# What is computed in the graph.


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("style", ["ceil", "mod", "where"])
def test_same_padding_worked_out_in_the_graph(
    style: str, kernel: int, stride: int, tmp_path: Path
) -> None:
    """TensorFlow's rule, as PyTorch ports of its networks write it into their graphs."""
    net = Net(opset=17)
    x = net.conv("x", (3, 4), strides=[1, 1])
    shape = net.add("Shape", x)
    paddings = []
    for axis in (2, 3):
        side = net.add("Gather", shape, net.constant(axis, np.int64), axis=0)
        less = kernel - stride
        if style == "ceil":
            real = net.add("Cast", side, to=TensorProto.FLOAT)
            out = net.add("Ceil", net.add("Div", real, net.constant(float(stride))))
            last = net.add(
                "Mul", net.add("Sub", out, net.constant(1.0)), net.constant(float(stride))
            )
            total = net.add("Sub", net.add("Add", last, net.constant(float(kernel))), real)
            total = net.add("Clip", total, net.constant(0.0))
            total = net.add("Cast", total, to=TensorProto.INT64)
        else:
            rest = net.add("Mod", side, net.constant(stride, np.int64))
            even = net.constant(max(less, 0), np.int64)
            odd = net.add("Sub", net.constant(kernel, np.int64), rest)
            odd = net.add("Max", odd, net.constant(0, np.int64))
            is_even = net.add("Equal", rest, net.constant(0, np.int64))
            total = net.add("Where", is_even, even, odd)
        before = net.add("Div", total, net.constant(2, np.int64))
        paddings.append((before, net.add("Sub", total, before)))
    axes = net.constant([0], np.int64)
    zero = net.constant([0, 0], np.int64)
    parts = [net.add("Unsqueeze", p[side], axes) for side in (0, 1) for p in paddings]
    pads = net.add("Concat", zero, *parts[:2], zero, *parts[2:], axis=0)
    x = net.add("Pad", x, pads)
    w = net.weights(6, 4, kernel, kernel)
    x = net.add("Conv", x, w, kernel_shape=[kernel] * 2, strides=[stride] * 2)
    backbone = check(head(net, net.add("Relu", x), 6), tmp_path)
    operators = {node.op_type for node in backbone.frozen(1).graph.node}
    assert operators <= {"Conv", "Pad", "Relu", "GlobalAveragePool", "Flatten"}


@pytest.mark.parametrize("form", ["moments", "batch norm", "norm"])
def test_standardised_weights_are_folded(form: str, tmp_path: Path) -> None:
    net = Net(opset=17)
    w = net.weights(6, 3, 3, 3)
    if form == "batch norm":  # timm's: the weights as one picture, normalised by their batch
        flat = net.add("Reshape", w, net.constant([1, 6, -1], np.int64))
        ones, zeros = net.constant(np.ones(6)), net.constant(np.zeros(6))
        gain = net.constant(net.rng.uniform(0.5, 1.5, 6))
        # A mean of its own: ONNX Runtime writes the running average over the tensor it is given.
        mean = net.constant(np.zeros(6))
        w = net.add(
            "BatchNormalization", flat, gain, zeros, mean, ones, epsilon=1e-6, training_mode=1
        )
        net.nodes[-1].output.extend(["unread_mean", "unread_variance"])
        w = net.add("Reshape", w, net.constant([6, 3, 3, 3], np.int64))
    elif form == "moments":
        mean = net.add("ReduceMean", w, axes=[1, 2, 3])
        centred = net.add("Sub", w, mean)
        square = net.add("ReduceMean", net.add("Mul", centred, centred), axes=[1, 2, 3])
        w = net.add("Div", centred, net.add("Sqrt", net.add("Add", square, net.constant(1e-5))))
    else:
        length = net.add("ReduceL2", w, axes=[1, 2, 3])
        w = net.add("Mul", net.add("Div", w, length), net.constant(2.0))
    x = net.add("Relu", net.add("Conv", "x", w, pads=[1] * 4))
    backbone = check(head(net, x, 6), tmp_path)
    assert [node.op_type for node in backbone.body.graph.node][:2] == ["Conv", "Relu"]
    assert not any("training" in text for text in backbone.warnings)
