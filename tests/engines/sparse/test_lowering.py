"""What is folded, what is fused, and what is refused by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgetransfer.engines.sparse.lowering import lower
from edgetransfer.engines.sparse.opening import open_sparse
from edgetransfer.engines.sparse.plan import Activation, Kind
from edgetransfer.errors import EngineError
from edgetransfer.native.compiling import why_absent
from tests.graphs_made import Net, noise, relative_difference, run, tiny

needs_library = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))

Build = Callable[[Net, str], str]


def graph(build: Build, *, opset: int = 13, size: int = 12, batch: int = 2) -> onnx.ModelProto:
    """Noise of (batch, 8, size, size) through what `build` adds."""
    net = Net(opset=opset, seed=0)
    out = build(net, "x")
    model = net.model([batch, 8, size, size], {out: [batch, 1]})
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info(out, TensorProto.FLOAT, None))
    return model


def test_normalisation_activation_and_addition_become_one_operator_with_the_convolution() -> None:
    def block(net: Net, x: str) -> str:
        x = net.add("Relu", net.batch_norm(net.conv(x, (8, 8)), 8))
        y = net.batch_norm(net.conv(x, (8, 8)), 8)
        return net.add("Relu", net.add("Add", y, x))

    first, second = lower(graph(block)).operators
    assert first.kind is second.kind is Kind.CONVOLUTION
    assert (first.activation, second.activation) == (Activation.RELU, Activation.RELU)
    assert (first.second, second.second) == (-1, first.out)


def scaled(net: Net, x: str) -> str:
    scale = net.constant(np.arange(1, 9).reshape(8, 1, 1))
    x = net.add("Sub", net.add("Mul", x, scale), net.constant(0.5))
    return net.add("Div", net.add("Sub", net.constant(2.0), x), net.constant([[[4.0]]]))


def shared_by_two(net: Net, x: str) -> str:
    x = net.conv(x, (8, 8))
    return net.add("Add", net.add("Relu", x), net.batch_norm(x, 8))


def doubled(net: Net, x: str) -> str:
    x = net.conv(x, (8, 8))
    return net.add("Add", x, x)


def summed(net: Net, x: str) -> str:
    return net.add("Sum", net.conv(x, (8, 8)), x, net.conv(x, (8, 8)))


def dense_block(net: Net, x: str) -> str:
    y = net.conv(net.add("Relu", net.batch_norm(x, 8)), (8, 4))
    return net.add("Concat", x, y, net.conv(y, (4, 3), kernel=1), axis=1)


def padded(net: Net, x: str) -> str:
    pads = net.constant([0, 0, 1, 2, 0, 0, 3, 0], np.int64)
    x = net.add("Pad", x, pads)
    return net.add("Relu", net.add("Pad", net.conv(x, (8, 5)), pads))


def clipped(net: Net, x: str) -> str:
    low, high = net.constant(-0.3), net.constant(0.7)
    x = net.add("Clip", net.conv(x, (8, 8), group=8), low, high)
    x = net.add("LeakyRelu", net.conv(x, (8, 8), group=4), alpha=0.2)
    return net.add("LeakyRelu", net.add("Clip", x, "", high), alpha=0.3)


def pooled(net: Net, x: str) -> str:
    x = net.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    x = net.add("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    x = net.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_UPPER")
    counted = {"count_include_pad": 1, "pads": [1, 0, 1, 0]}
    x = net.add("AveragePool", x, kernel_shape=[2, 2], strides=[1, 2], **counted)
    return net.add("GlobalMaxPool", x)


def rounded_up(net: Net, x: str) -> str:
    x = net.add("MaxPool", x, kernel_shape=[2, 3], strides=[3, 2], ceil_mode=1)
    return net.add("AveragePool", x, kernel_shape=[2, 2], strides=[3, 2], ceil_mode=1)


def same_lower(net: Net, x: str) -> str:
    w = net.weights(5, 8, 4, 3)
    x = net.add("Conv", x, w, auto_pad="SAME_LOWER", strides=[2, 3])
    return net.add("Conv", x, net.weights(3, 5, 1, 1), auto_pad="VALID")


def dilated(net: Net, x: str) -> str:
    w = net.weights(5, 8, 3, 3)
    return net.add("Conv", x, w, dilations=[2, 3], pads=[2, 1, 0, 3])


def fully_connected(net: Net, x: str) -> str:
    x = net.add("Flatten", net.add("MaxPool", x, kernel_shape=[3, 3], strides=[3, 3]))
    x = net.add("Relu", net.add("Gemm", x, net.weights(8 * 16, 20), net.constant(np.ones(20))))
    x = net.add("Mul", x, net.constant(np.arange(20)))
    return net.add("Add", net.add("MatMul", x, net.weights(20, 6)), net.constant(0.5))


def averaged(net: Net, x: str) -> str:
    x = net.add("ReduceMean", x, axes=[-1, -2], keepdims=1)
    x = net.add("Unsqueeze", net.add("Flatten", x), net.constant([2, 3], np.int64))
    return net.add("Squeeze", x, net.constant([2, 3], np.int64))


COVERED = [
    scaled, shared_by_two, doubled, summed, dense_block, padded, clipped, pooled, rounded_up,
    same_lower, dilated, fully_connected, averaged,
]  # fmt: skip


@needs_library
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("build", COVERED)
@pytest.mark.parametrize("size", [12, 13])
def test_covered_operators(build: Build, size: int) -> None:
    if build is fully_connected and size == 13:
        pytest.skip("its matrix fits one size")
    model = graph(build, size=size)
    images = noise(2, 8, size, size)
    engine = open_sparse(model, threads=2, reason="test")
    expected = run(model, images)
    assert relative_difference(engine.run(images), expected.reshape(2, -1)) <= 1e-5
    np.testing.assert_array_equal(engine.run(images[:1]), engine.run(images)[:1])


@needs_library
def test_hard_swish() -> None:
    def build(net: Net, x: str) -> str:
        return net.add("HardSwish", net.add("HardSwish", net.conv(x, (8, 8))))

    model = graph(build, opset=14)
    images = noise(2, 8, 12, 12)
    got = open_sparse(model, threads=1, reason="test").run(images)
    assert relative_difference(got, run(model, images).reshape(2, -1)) <= 1e-5


def constant_output(net: Net, x: str) -> str:
    return net.add("Identity", net.constant([1.0]))


REFUSED: dict[str, tuple[Build, str]] = {
    "unknown": (lambda n, x: n.add("Sinh", x), "it does not know the operator Sinh"),
    "in_the_middle": (
        lambda n, x: n.add("Relu", n.add("Sinh", n.conv(x, (8, 8)))),
        "the operator Sinh",
    ),
    "joined_images": (
        lambda n, x: n.add("Reshape", x, n.constant([1, 16, 12, 12], np.int64)),
        "images or features",
    ),
    "wrong_reshape": (
        lambda n, x: n.add("Reshape", x, n.constant([-1, 7], np.int64)), "does not become"
    ),
    "wrong_weights": (lambda n, x: n.conv(x, (9, 4)), "do not fit 8 channels"),
    "unlike": (lambda n, x: n.add("Mul", x, n.conv(x, (8, 4))), "Mul 'node1'"),
    "other_axis": (lambda n, x: n.add("Concat", x, x, axis=0), "along the batch"),
    "mean_of_images": (lambda n, x: n.add("ReduceMean", x, axes=[0]), "over the batch"),
    "more_images": (
        lambda n, x: n.add("Pad", x, n.constant([1, 0, 0, 0] * 2, np.int64)), "pad the batch"
    ),
    "permuted": (lambda n, x: n.add("Transpose", x, perm=[1, 0, 2, 3]), "images or features"),
    "by_neighbour": (
        lambda n, x: n.add("Add", x, n.constant(np.arange(2.0).reshape(2, 1, 1, 1))),
        "differs from image to image",
    ),
    "cubic": (
        lambda n, x: n.add(
            "Resize", x, "", n.constant([1.0, 1.0, 2.0, 2.0]), mode="cubic"
        ),
        "the mode cubic",
    ),
    "too_small": (lambda n, x: n.add("MaxPool", x, kernel_shape=[13, 2]), "larger than its image"),
    "wrong_matrix": (
        lambda n, x: n.add("Gemm", n.add("Flatten", x), n.weights(7, 3)), "does not fit"
    ),
    "integers": (lambda n, x: n.add("Cast", x, to=TensorProto.INT32), "float32 alone"),
    "no_image": (constant_output, "not features of the image"),
    "nothing": (lambda n, x: n.add("Identity", x), "its output is its input"),
    "random": (
        lambda n, x: n.add("Dropout", x, n.constant(0.5), n.constant(True, bool)), "training mode"
    ),
    "statistics_of_a_batch": (
        lambda n, x: n.add(
            "BatchNormalization", x, *(n.constant(np.ones(8)) for _ in range(4)), training_mode=1
        ),
        "training mode",
    ),
    "by_image": (
        lambda n, x: n.add(
            "Gemm", averaged(n, x), n.weights(8, 2), n.constant([[1.0], [2.0]])
        ),
        "not one number for each feature",
    ),
    "more_axes": (
        lambda n, x: n.add("Add", averaged(n, x), n.constant(np.ones((1, 8, 1)))),
        "does not fit",
    ),
    "outer_sum": (
        lambda n, x: n.add("Add", averaged(n, x), n.add("GlobalAveragePool", x)),
        "does not combine",
    ),
    "cropped": (
        lambda n, x: n.add("Pad", x, n.constant([0, 0, -6, 1, 0, 0, -6, 0], np.int64)),
        "nothing is left",
    ),
    "column": (
        lambda n, x: n.add("Add", x, n.constant(np.ones((5, 1)))), "does not fit"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_covered_is_refused_by_name(case: str) -> None:
    build, message = REFUSED[case]
    with pytest.raises(EngineError, match=message):
        lower(graph(build))


@needs_library
def test_the_engine_says_that_it_cannot_run_the_backbone() -> None:
    with pytest.raises(EngineError, match=r"The sparse engine cannot run this backbone: .*Sinh"):
        open_sparse(graph(REFUSED["unknown"][0]), threads=1, reason="test")


def test_other_domains_are_refused() -> None:
    model = tiny(batch=1).model
    model.graph.node[0].domain = "com.example"
    with pytest.raises(EngineError, match="operator Conv"):
        lower(model)


@pytest.mark.parametrize("seed", range(200))
def test_a_malformed_graph_is_refused_or_planned(seed: int) -> None:
    """Random damage to a graph ends in a plan or in an `EngineError`, nothing else."""
    rng = np.random.default_rng(seed)
    model = tiny(batch=2, seed=seed % 3).model
    nodes = model.graph.node
    for _ in range(rng.integers(1, 4)):
        node = nodes[rng.integers(len(nodes))]
        match rng.integers(6):
            case 0:
                node.op_type = nodes[rng.integers(len(nodes))].op_type
            case 1 if node.input:
                names = [name for n in nodes for name in (*n.input, *n.output)]
                node.input[rng.integers(len(node.input))] = str(rng.choice(names))
            case 2 if node.attribute:
                del node.attribute[rng.integers(len(node.attribute))]
            case 3 if node.attribute:
                attribute = node.attribute[rng.integers(len(node.attribute))]
                attribute.ints[:] = [int(i) for i in rng.integers(-3, 9, len(attribute.ints))]
            case 4 if node.input:
                del node.input[rng.integers(len(node.input))]
            case 5:
                tensor = model.graph.initializer[rng.integers(len(model.graph.initializer))]
                tensor.dims[:] = list(tensor.dims)[::-1]
    try:
        lower(model)
    except EngineError:
        return
