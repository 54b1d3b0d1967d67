"""Dead channels: found where they are, cut away without a trace in the outputs."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgetransfer.backbones.architectures import synthetic
from edgetransfer.graphs.canonical import canonicalise
from edgetransfer.graphs.compact import compact, find_dead_channels
from tests.graphs_made import Net, noise, run


def same(before, after, *shape):
    images = noise(*shape)
    expected = run(before, images)
    np.testing.assert_allclose(run(after, images), expected, rtol=1e-5, atol=1e-5)


def shapes(model):
    return [list(t.dims) for t in model.graph.initializer if len(t.dims) > 1]


def chain(*, pads=1, kill=(), unread=(), bias=0.7, norm=False, activation="Relu", **options):
    """x -> conv 6 -> activation -> conv 5 -> relu -> pool; some filters without weights."""
    net = Net()
    first = net.rng.normal(0, 0.4, (6, 3, 3, 3))
    first[list(kill)] = 0
    second = net.rng.normal(0, 0.4, (5, 6, 3, 3))
    second[:, list(unread)] = 0
    biases = net.constant(np.full(6, bias))
    x = net.add("Conv", "x", net.constant(first), biases, pads=[1] * 4)
    if norm:
        x = net.batch_norm(x, 6)
    x = net.add(activation, x, **options)
    x = net.add("Conv", x, net.constant(second), net.constant(np.ones(5)), pads=[pads] * 4)
    out = net.add("Flatten", net.add("GlobalAveragePool", net.add("Relu", x)))
    return canonicalise(net.model([2, 3, 8, 8], {out: [2, 5]}))


def test_a_filter_that_gives_zero_goes():
    before = chain(kill=(1, 4), bias=-0.5)  # relu of the bias: zero
    after, found = compact(before)
    assert shapes(after) == [[4, 3, 3, 3], [5, 4, 3, 3]]
    assert (found.cut_outputs, found.layers[1].dead_inputs, found.layers[1].cut_inputs) == (2, 2, 2)
    same(before, after, 2, 3, 8, 8)


def test_a_channel_that_nobody_reads_goes():
    before = chain(unread=(0, 5))
    after, _ = compact(before)
    assert shapes(after) == [[4, 3, 3, 3], [5, 4, 3, 3]]
    same(before, after, 2, 3, 8, 8)


def test_a_constant_moves_into_the_bias_where_nothing_is_padded():
    before = chain(kill=(2,), pads=0, bias=0.7)
    after, _ = compact(before)
    assert shapes(after) == [[5, 3, 3, 3], [5, 5, 3, 3]]
    same(before, after, 2, 3, 8, 8)


def test_a_constant_stays_where_the_border_would_show():
    before = chain(kill=(2,), pads=1, bias=0.7)
    after, found = compact(before)
    assert found.cut_outputs == 0
    assert shapes(after) == shapes(before)


@pytest.mark.parametrize("activation", ["HardSwish", "Sigmoid", "LeakyRelu", "Tanh", "Elu"])
@pytest.mark.parametrize("opset", [13, 15])
def test_constants_go_through_batch_norm_and_activations(activation, opset):
    before = chain(kill=(0, 3), pads=0, norm=True, activation=activation)
    before.opset_import[0].version = 14 if activation == "HardSwish" else opset
    after, found = compact(before)
    assert found.cut_outputs == 2
    same(before, after, 2, 3, 8, 8)


def test_one_channel_is_left_when_all_are_dead():
    before = chain(kill=range(6), bias=-1)
    after, _ = compact(before)
    assert shapes(after) == [[1, 3, 3, 3], [5, 1, 3, 3]]
    same(before, after, 2, 3, 8, 8)


def residual(*, kill_stem=(), kill_branch=(), unread=()):
    """Stem, a residual block with a depthwise convolution, a sum, another reader of both."""
    net = Net()
    stem = net.rng.normal(0, 0.4, (6, 3, 3, 3))
    stem[list(kill_stem)] = 0
    branch = net.rng.normal(0, 0.4, (6, 4, 1, 1))
    branch[list(kill_branch)] = 0
    reader = net.rng.normal(0, 0.4, (7, 6, 1, 1))
    reader[:, list(unread)] = 0
    inner = net.rng.normal(0, 0.4, (4, 6, 1, 1))
    inner[:, list(unread)] = 0
    x = net.add("Conv", "x", net.constant(stem), pads=[1] * 4)
    x = net.add("Relu", x)
    y = net.add("Relu", net.add("Conv", x, net.constant(inner), net.constant(np.ones(4))))
    y = net.add("Conv", y, net.weights(4, 1, 3, 3), net.constant(np.ones(4)), pads=[1] * 4, group=4)
    y = net.add("Conv", net.add("Relu", y), net.constant(branch), net.constant(np.full(6, 0.3)))
    x = net.add("Relu", net.add("Add", x, y))
    x = net.add("Conv", x, net.constant(reader))
    out = net.add("Flatten", net.add("GlobalAveragePool", net.add("Relu", x)))
    return canonicalise(net.model([2, 3, 8, 8], {out: [2, 7]}))


def test_a_sum_is_dead_only_where_both_sides_are():
    before = residual(kill_stem=(0, 1, 2), kill_branch=(2, 3))
    after, found = compact(before)
    # Channel 2 alone is constant (0 + 0.3) on both sides; 0 and 1 live on the branch.
    assert shapes(after)[0] == [5, 3, 3, 3]
    assert [layer.cut_outputs for layer in found.layers] == [1, 0, 0, 1, 0]
    # Zero stem channels are no use to the inner convolution, cut or not.
    assert found.layers[1].dead_inputs == 3
    same(before, after, 2, 3, 8, 8)


def test_a_channel_of_a_sum_goes_when_no_reader_wants_it():
    before = residual(unread=(1, 5))
    after, found = compact(before)
    assert [layer.cut_outputs for layer in found.layers] == [2, 0, 0, 2, 0]
    assert shapes(after)[0] == [4, 3, 3, 3]
    same(before, after, 2, 3, 8, 8)


def test_depthwise_channels_go_with_their_inputs():
    net = Net()
    last = net.rng.normal(0, 0.4, (5, 8, 1, 1))
    last[:, [1, 6]] = 0
    x = net.add("Relu", net.conv("x", (3, 8)))
    x = net.add("Relu", net.batch_norm(net.conv(x, (8, 8), group=8), 8))
    x = net.add("Conv", x, net.constant(last))
    out = net.add("Flatten", net.add("GlobalAveragePool", x))
    before = canonicalise(net.model(["N", 3, 8, 8], {out: ["N", 5]}))
    after, found = compact(before)
    assert [layer.cut_outputs for layer in found.layers] == [2, 2, 0]
    assert shapes(after) == [[6, 3, 3, 3], [6, 1, 3, 3], [5, 6, 1, 1]]
    same(before, after, 3, 3, 8, 8)


def test_concatenations_and_scales_follow():
    net = Net()
    left, right = net.rng.normal(0, 0.4, (4, 3, 3, 3)), net.rng.normal(0, 0.4, (5, 3, 3, 3))
    left[1], right[4] = 0, 0
    a = net.add("Relu", net.add("Conv", "x", net.constant(left), pads=[1] * 4))
    b = net.add("Relu", net.add("Conv", "x", net.constant(right), pads=[1] * 4))
    x = net.add("Concat", a, b, axis=1)
    x = net.add("Mul", x, net.constant(net.rng.uniform(0.5, 1.5, (1, 9, 1, 1))))
    x = net.add("Add", x, net.constant(net.rng.normal(0, 1, (9, 1, 1))))
    x = net.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.conv(x, (9, 6), kernel=1)
    out = net.add("Flatten", net.add("GlobalAveragePool", net.add("Relu", x)))
    before = canonicalise(net.model(["N", 3, 8, 8], {out: ["N", 6]}))
    after, found = compact(before)
    assert [layer.cut_outputs for layer in found.layers] == [1, 1, 0]
    same(before, after, 2, 3, 8, 8)


def test_fully_connected_layers_follow():
    net = Net()
    columns = net.rng.normal(0, 0.4, (10, 7))  # (inputs, outputs)
    columns[:, [2, 3]] = 0
    x = net.add("Flatten", net.add("GlobalAveragePool", net.conv("x", (3, 10))))
    x = net.add("Relu", net.add("Gemm", x, net.constant(columns), net.constant(np.full(7, 0.5))))
    out = net.add("Gemm", x, net.weights(4, 7), net.constant(np.zeros(4)), transB=1)
    before = canonicalise(net.model(["N", 3, 8, 8], {out: ["N", 4]}))
    after, found = compact(before)
    assert found.cut_outputs == 2
    assert shapes(after)[1:] == [[10, 5], [4, 5]]
    same(before, after, 2, 3, 8, 8)


def test_shared_weights_are_cut_for_each_reader():
    net = Net()
    shared = net.constant(net.rng.normal(0, 0.4, (6, 3, 3, 3)))
    last = net.rng.normal(0, 0.4, (4, 6, 1, 1))
    last[:, 2] = 0
    other = net.rng.normal(0, 0.4, (4, 6, 1, 1))
    a = net.add("Relu", net.add("Conv", "x", shared, pads=[1] * 4))
    b = net.add("Sigmoid", net.add("Conv", "x", shared, pads=[1] * 4))
    a = net.add("Conv", a, net.constant(last))
    b = net.add("Conv", b, net.constant(other))
    out = net.add("Flatten", net.add("GlobalAveragePool", net.add("Add", a, b)))
    before = canonicalise(net.model(["N", 3, 8, 8], {out: ["N", 4]}))
    after, found = compact(before)
    assert [layer.cut_outputs for layer in found.layers] == [1, 0, 0, 0]
    same(before, after, 2, 3, 8, 8)


def test_grouped_convolutions_keep_what_they_read():
    net = Net()
    first = net.rng.normal(0, 0.4, (6, 3, 3, 3))
    first[0] = 0
    x = net.add("Conv", "x", net.constant(first))
    x = net.conv(x, (6, 6), group=2)
    out = net.add("Flatten", net.add("GlobalAveragePool", x))
    found = find_dead_channels(canonicalise(net.model(["N", 3, 8, 8], {out: ["N", 6]})))
    assert found.cut_outputs == 0


def test_what_is_not_understood_keeps_what_it_reads():
    before = chain(kill=(1, 4), bias=-0.5)
    relu = next(n for n in before.graph.node if n.op_type == "Relu")
    relu.domain = "com.example"
    assert find_dead_channels(before).cut_outputs == 0

    before = chain(kill=(1, 4), bias=-0.5)
    relu = next(n.output[0] for n in before.graph.node if n.op_type == "Relu")
    inner = onnx.helper.make_node("ReduceSum", [relu], ["inner"], keepdims=0)
    value = onnx.helper.make_tensor_value_info("inner", onnx.TensorProto.FLOAT, [])
    branch = onnx.helper.make_graph([inner], "branch", [], [value])
    condition = numpy_helper.from_array(np.array(True), "condition")
    before.graph.initializer.append(condition)
    before.graph.node.append(
        onnx.helper.make_node("If", ["condition"], ["sum"], then_branch=branch, else_branch=branch)
    )
    assert find_dead_channels(before).cut_outputs == 0


def test_kept_tensors_keep_their_channels():
    before = chain(kill=(1, 4), bias=-0.5)
    relu = next(n.output[0] for n in before.graph.node if n.op_type == "Relu")
    after, found = compact(before, keep=frozenset((relu,)))
    assert found.cut_outputs == 0
    assert shapes(after) == shapes(before)


@pytest.mark.parametrize(
    "name",
    ["resnet18", pytest.param("resnet50", marks=pytest.mark.slow), "mobilenet_v1", "mobilenet_v2"],
)
def test_whole_networks_with_random_filters_gone(name):
    before = synthetic(name, size=32)
    rng = np.random.default_rng(5)
    for tensor in before.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.ndim == 4:
            values = values.copy()
            values[rng.random(len(values)) < 0.3] = 0
            values[:, rng.random(values.shape[1]) < 0.1] = 0
        elif values.ndim == 1:
            values = rng.normal(0, 0.3, len(values)).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    after, found = compact(before)
    assert found.cut_outputs > 0
    onnx.checker.check_model(after, full_check=True)
    assert after.ByteSize() < 0.9 * before.ByteSize()
    same(before, after, 1, 3, 32, 32)


def test_the_given_model_is_not_changed():
    before = chain(kill=(1, 4), bias=-0.5)
    content = before.SerializeToString(deterministic=True)
    compact(before)
    assert before.SerializeToString(deterministic=True) == content
