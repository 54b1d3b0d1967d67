"""A tensor with several names, some of whose readers are fused into what makes it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from edgetransfer.engines.sparse.lowering import lower
from edgetransfer.native.compiling import why_absent
from tests.engines.fuzzing.comparing import TOLERANCE, compared
from tests.engines.sparse.test_lowering import graph
from tests.graphs_made import Net

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))

Step = Callable[[Net, str], str]

NAMES: dict[str, Step] = {
    "none": lambda n, x: x,
    "identity": lambda n, x: n.add("Identity", x),
    "dropout": lambda n, x: n.add("Dropout", x),
    "cast": lambda n, x: n.add("Cast", x, to=TensorProto.FLOAT),
    "reshape": lambda n, x: n.add("Reshape", x, n.constant([2, 8, -1, 12], np.int64)),
    "transpose": lambda n, x: n.add("Transpose", x, perm=[0, 1, 2, 3]),
    "there_and_back": lambda n, x: n.add(
        "Transpose", n.add("Transpose", x, perm=[0, 2, 3, 1]), perm=[0, 3, 1, 2]
    ),
    "sum_of_one": lambda n, x: n.add("Sum", x),
    "pad_by_nothing": lambda n, x: n.add("Pad", x, n.constant([0] * 8, np.int64)),
}
CHANGES: dict[str, Step] = {
    "relu": lambda n, x: n.add("Relu", x),
    "clip": lambda n, x: n.add("Clip", x, n.constant(-0.2), n.constant(0.3)),
    "leaky": lambda n, x: n.add("LeakyRelu", x, alpha=0.1),
    "normalisation": lambda n, x: n.batch_norm(x, 8),
    "scale": lambda n, x: n.add("Mul", x, n.constant(np.arange(8).reshape(8, 1, 1))),
    "shift": lambda n, x: n.add("Sub", n.constant(0.5), x),
    "residual": lambda n, x: n.add("Add", x, n.add("Relu", "x")),
    "double": lambda n, x: n.add("Add", x, x),
    "preactivation": lambda n, x: n.conv(n.add("Relu", n.batch_norm(x, 8)), (8, 8)),
}
MAKERS: dict[str, Step] = {
    "convolution": lambda n, x: n.conv(x, (8, 8)),
    "depthwise": lambda n, x: n.conv(x, (8, 8), group=8),
    "pooling": lambda n, x: n.add("MaxPool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    "sum": lambda n, x: n.add("Add", x, n.conv(x, (8, 8))),
}


def flat(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its output flat, as engines give it."""
    out = model.graph.output[0].name
    model.graph.node.add(op_type="Flatten", input=[out], output=["features"])
    model.graph.output[0].name = "features"
    return model


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", CHANGES)
def test_another_reader_sees_the_tensor_as_it_was(name: str, change: str) -> None:
    for early, maker in enumerate(MAKERS.values()):

        def build(net: Net, x: str, maker: Step = maker, early: int = early) -> str:
            made = maker(net, x)
            readers = [made, NAMES[name](net, made)]
            # Now the tensor's first name is what is read by the change, now the other.
            changed = CHANGES[change](net, readers[early % 2])
            return net.add("Concat", changed, readers[1 - early % 2], axis=1)

        found = compared(flat(graph(build)), counts=(1,))
        assert not found.faulty, found


@pytest.mark.parametrize("name", NAMES)
def test_a_name_alone_hinders_no_fusion(name: str) -> None:
    def build(net: Net, x: str) -> str:
        step = NAMES[name]
        y = step(net, net.batch_norm(step(net, net.conv(x, (8, 8))), 8))
        return step(net, net.add("Relu", step(net, net.add("Add", y, step(net, x)))))

    assert len(lower(graph(build)).operators) == 1


@pytest.mark.parametrize("name", NAMES)
def test_the_output_is_a_reader_too(name: str) -> None:
    """A branch that leads nowhere may not change what the output is."""

    def build(net: Net, x: str) -> str:
        made = net.conv(x, (8, 8))
        net.add("Relu", NAMES[name](net, made))
        return made

    found = compared(flat(graph(build)))
    assert found.difference <= TOLERANCE
