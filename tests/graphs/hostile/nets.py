"""One operator in a small network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx

from tests.graphs_made import Net

Make = Callable[[], onnx.ModelProto]


def of_the_image(operator: str, *inputs: object, **attributes: object) -> onnx.ModelProto:
    """A graph of one node that reads the image, and a classifier behind it."""
    return _finished(Net(opset=17), operator, ("x", *inputs), attributes)


def of_constants(operator: str, *inputs: object, **attributes: object) -> onnx.ModelProto:
    """A graph of one node that reads constants, whose result is added to the image."""
    net = Net(opset=17)
    made = net.add(operator, *named(net, inputs), **attributes)
    return classified(net, net.add("Add", "x", made))


def _finished(
    net: Net, operator: str, inputs: tuple[object, ...], attributes: dict[str, object]
) -> onnx.ModelProto:
    return classified(net, net.add(operator, *named(net, inputs), **attributes))


def named(net: Net, inputs: tuple[object, ...]) -> list[str]:
    return [
        given if isinstance(given, str) else net.constant(given, np.asarray(given).dtype)
        for given in inputs
    ]


def classified(net: Net, x: str) -> onnx.ModelProto:
    """A classifier behind a tensor of the size of the image."""
    x = net.add("Flatten", net.add("GlobalAveragePool", x))
    out = net.add("Gemm", x, net.weights(5, 3), transB=1)
    return net.model(["N", 3, 16, 16], {out: ["N", 5]})
