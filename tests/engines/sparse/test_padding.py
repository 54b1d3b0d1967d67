"""An explicit Pad before all that can read it, in batches that tile their images or do not."""

from __future__ import annotations

import numpy as np
import pytest

from edgetransfer.engines.sparse.lowering import lower
from edgetransfer.engines.sparse.plan import Kind
from edgetransfer.native.compiling import why_absent
from tests.engines.fuzzing.comparing import compared
from tests.engines.sparse.plans import INSTRUCTION_SETS, forced
from tests.engines.sparse.test_lowering import graph
from tests.engines.sparse.test_sharing import Step, flat
from tests.graphs_made import Net

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))

# Top, left, bottom, right.
FRAMES = [(0, 0, 1, 1), (0, 0, 3, 0), (1, 1, 1, 1), (0, 2, 1, 0), (3, 1, 0, 2)]


def pad(net: Net, x: str, frame: tuple[int, ...], value: float = 0.0) -> str:
    numbers = net.constant([0, 0, *frame[:2], 0, 0, *frame[2:]], np.int64)
    return net.add("Pad", x, numbers, *([net.constant(value)] if value else []))


def pooled(net: Net, x: str, kind: str = "MaxPool", **options: object) -> str:
    return net.add(kind, x, kernel_shape=[2, 3], **options)


def strided(net: Net, x: str, padding: str) -> str:
    weights = net.weights(5, 8, 3, 3)
    return net.add("Conv", x, weights, auto_pad=padding, strides=[2, 2], kernel_shape=[3, 3])


READERS: dict[str, Step] = {
    "nothing": lambda n, x: n.add("Identity", x),
    "convolution": lambda n, x: n.conv(x, (8, 4)),
    "pointwise": lambda n, x: n.conv(x, (8, 4), kernel=1),
    "depthwise": lambda n, x: n.conv(x, (8, 8), group=8),
    "same_upper": lambda n, x: strided(n, x, "SAME_UPPER"),
    "same_lower": lambda n, x: strided(n, x, "SAME_LOWER"),
    "max_pool": lambda n, x: pooled(n, x),
    "max_pool_padded": lambda n, x: pooled(n, x, pads=[1, 1, 1, 1], strides=[2, 1]),
    "max_pool_same": lambda n, x: pooled(n, x, auto_pad="SAME_LOWER", strides=[2, 2]),
    "average_pool": lambda n, x: pooled(n, x, "AveragePool"),
    "average_pool_padded": lambda n, x: pooled(n, x, "AveragePool", pads=[1, 0, 0, 2]),
    "average_pool_counting": lambda n, x: pooled(
        n, x, "AveragePool", pads=[1, 1, 1, 1], count_include_pad=1
    ),
    "global_average": lambda n, x: n.add("GlobalAveragePool", x),
    "global_maximum": lambda n, x: n.add("GlobalMaxPool", x),
    "activation": lambda n, x: n.add("HardSwish", x),
    "normalisation": lambda n, x: n.batch_norm(x, 8),
    "sum": lambda n, x: n.add("Add", x, n.add("Relu", x)),
    "joined": lambda n, x: n.add("Concat", x, n.add("LeakyRelu", x, alpha=0.1), axis=1),
    "another_pad": lambda n, x: pooled(n, pad(n, x, (2, 0, 0, 1))),
    "several": lambda n, x: n.add(
        "Concat", n.conv(x, (8, 3)), pooled(n, x, pads=[0, 1, 1, 1]), axis=1
    ),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("value", [0.0, -0.7])
def test_whatever_reads_a_pad_sees_its_frame(reader: str, value: float) -> None:
    for seed, frame in enumerate(FRAMES):

        def build(net: Net, x: str, seed: int = seed, frame: tuple[int, ...] = frame) -> str:
            if seed % 2:
                return READERS[reader](net, pad(net, net.conv(x, (8, 8)), frame, value))
            # Below zero, so that a frame of anything but zeros is seen by a maximum.
            below = net.add("Sub", net.conv(x, (8, 8), strides=[2, 2]), net.constant(3.0))
            return READERS[reader](net, pad(net, below, frame, value))

        model = flat(graph(build, opset=14, size=13 + seed, batch=17))
        found = compared(model, counts=(1, 2, 16))
        assert not found.faulty, (frame, found)


@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
def test_right_and_below_in_tiles(isa: str) -> None:
    """A tile is as large with the frame as without it: what lies beyond the image is not zero."""

    def build(net: Net, x: str) -> str:
        framed = pad(net, net.add("LeakyRelu", net.conv(x, (8, 8)), alpha=0.1), (0, 0, 2, 2))
        lowered = net.conv(pooled(net, framed, strides=[1, 1]), (8, 8), kernel=1)
        return net.add("Conv", lowered, net.weights(8, 8, 1, 1), pads=[0, 0, 1, 2])

    with forced(isa):
        found = compared(flat(graph(build, size=13, batch=33)), counts=tuple(range(1, 33)))
    assert not found.faulty, found


def test_a_pad_costs_nothing_where_convolutions_alone_read_it() -> None:
    def kinds(build: Step) -> list[Kind]:
        return [operator.kind for operator in lower(graph(build, size=12)).operators]

    def alone(net: Net, x: str) -> str:
        return strided(net, pad(net, pad(net, x, (1, 0, 2, 1)), (0, 1, 1, 0)), "VALID")

    def shared(net: Net, x: str) -> str:
        framed = pad(net, x, (1, 0, 2, 1))
        return net.add("Add", net.conv(framed, (8, 8)), framed)

    assert kinds(alone) == [Kind.CONVOLUTION]
    assert kinds(shared) == [Kind.COPY, Kind.CONVOLUTION]


@pytest.mark.parametrize(("frame", "kinds"), [
    ((0, 0, 200, 0), [Kind.CONVOLUTION]),
    ((0, 0, 300, 0), [Kind.COPY, Kind.CONVOLUTION]),
    ((0, 300, 0, 300), [Kind.COPY, Kind.CONVOLUTION]),
    ((300, 300, 0, 0), [Kind.CONVOLUTION]),
])  # fmt: skip
def test_a_frame_wider_than_windows_reach_is_a_copy(
    frame: tuple[int, ...], kinds: list[Kind]
) -> None:
    model = flat(graph(lambda n, x: n.conv(pad(n, x, frame), (8, 2), kernel=1)))
    assert [operator.kind for operator in lower(model).operators] == kinds
    found = compared(model, counts=(1,))
    assert not found.faulty, found
