"""The torch form of a graph computes what ONNX Runtime computes, and goes back unchanged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from edgetransfer.backbones import Backbone
from edgetransfer.errors import BackboneError
from edgetransfer.finetune.module import OnnxModule
from edgetransfer.graphs.graph import subgraph
from tests.graphs_made import (
    LIGHT_DIMENSIONS,
    Net,
    noise,
    relative_difference,
    run,
    tiny,
)

LIGHT = [
    name if name in ("shufflenet", "squeezenet") else pytest.param(name, marks=pytest.mark.slow)
    for name in LIGHT_DIMENSIONS
]


def torch_run(module: OnnxModule, images: np.ndarray) -> np.ndarray:
    module.eval()
    with torch.no_grad():
        result = module(torch.from_numpy(images.copy()))
    return result.numpy()


def check_parity(backbone: Backbone, *, images: int = 3) -> OnnxModule:
    model = backbone.frozen(images)
    size = backbone.preprocessing.size
    batch = noise(images, 3, size, size)
    module = OnnxModule(model)
    expected = run(model, batch)
    assert np.ptp(expected, axis=0).max() > 0
    assert relative_difference(torch_run(module, batch), expected) <= 1e-4
    # Another batch than the graph was frozen to.
    np.testing.assert_allclose(
        torch_run(module, batch[:1]), torch_run(module, batch)[:1], rtol=1e-3, atol=1e-4
    )
    return module


def test_bundled_backbone() -> None:
    module = check_parity(Backbone.open("tinyresnet-90"))
    assert set(module.roles.values()) == {"weight", "bias"}


def test_mobilenet(mobilenet: Path) -> None:
    check_parity(Backbone.open(mobilenet))


@pytest.mark.parametrize("name", LIGHT)
def test_light_graphs(name: str, light: Callable[..., Path]) -> None:
    check_parity(Backbone.open(light(name)), images=2)


@pytest.mark.parametrize(
    "options",
    [
        {"flatten": "reshape", "batch": 1},
        {"flatten": "reshape_rest", "batch": 1},
        {"flatten": "torch"},
        {"flatten": "squeeze"},
        {"pooling": "average"},
        {"pooling": "mean", "opset": 18},
        {"layout": "NHWC"},
        {"shuffle": True, "batch": 1},
        {"head": "conv_before", "dropout": True},
        {"head": "none"},
    ],
    ids=str,
)
def test_forms_of_graphs(options: dict, tmp_path: Path) -> None:
    check_parity(Backbone.open(tiny(**options).save(tmp_path / "net.onnx"), size=16))


def squeeze_and_excite(net: Net, x: str, channels: int) -> str:
    s = net.add("GlobalAveragePool", x)
    s = net.add("Relu", net.conv(s, (channels, 4), kernel=1))
    s = net.conv(s, (4, channels), kernel=1)
    gate = net.add("HardSigmoid", s, alpha=1 / 6, beta=0.5)
    return net.add("Mul", x, gate)


def mobilenet_v3(net: Net, x: str) -> str:
    x = net.conv(x, (3, 8), strides=[2, 2])
    x = net.add("HardSwish", x)
    y = net.batch_norm(net.conv(x, (8, 8), group=8), 8)
    y = squeeze_and_excite(net, net.add("Clip", y, net.constant(0.0), net.constant(6.0)), 8)
    x = net.add("Add", x, y)
    # HardSwish as older exporters write it.
    gate = net.add("Add", x, net.constant(3.0))
    gate = net.add("Clip", gate, net.constant(0.0), net.constant(6.0))
    return net.add("Div", net.add("Mul", x, gate), net.constant(6.0))


def efficientnet(net: Net, x: str) -> str:
    x = net.add(
        "Conv",
        x,
        net.weights(8, 3, 3, 3),
        strides=[2, 2],
        kernel_shape=[3, 3],
        auto_pad="SAME_UPPER",
    )
    x = net.batch_norm(x, 8)
    x = net.add("Mul", x, net.add("Sigmoid", x))
    s = net.add("Sigmoid", net.conv(net.add("GlobalAveragePool", x), (8, 8), kernel=1))
    return net.add("Mul", x, s)


def shufflenet_v2(net: Net, x: str) -> str:
    x = net.conv(x, (3, 8), strides=[2, 2])
    x = net.add("Relu", x)
    net.nodes.append(
        onnx.helper.make_node("Split", [x, net.constant([4, 4], np.int64)], ["l", "r"], axis=1)
    )
    y = net.add("Relu", net.conv("r", (4, 4), kernel=1))
    x = net.add("Concat", "l", y, axis=1)
    x = net.add("Reshape", x, net.constant([0, 2, 4, 8, 8], np.int64))
    x = net.add("Transpose", x, perm=[0, 2, 1, 3, 4])
    return net.add("Reshape", x, net.constant([0, 8, 8, 8], np.int64))


def odd_windows(net: Net, x: str) -> str:
    x = net.add("Conv", x, net.weights(8, 3, 3, 3), pads=[0, 0, 1, 1], kernel_shape=[3, 3])
    x = net.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    x = net.add(
        "AveragePool",
        x,
        kernel_shape=[3, 3],
        strides=[1, 1],
        pads=[0, 0, 1, 1],
        count_include_pad=0,
    )
    x = net.add("AveragePool", x, kernel_shape=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1)
    x = net.add("MaxPool", x, kernel_shape=[3, 3], auto_pad="SAME_LOWER", strides=[2, 2])
    pads = net.constant([0, 0, 1, 2, 0, 0, 1, 0], np.int64)
    x = net.add("Pad", x, pads, net.constant(0.5))
    return net.add("LRN", x, size=5, alpha=0.1, beta=0.75, bias=1.0)


def odd_operators(net: Net, x: str) -> str:
    x = net.conv(x, (3, 8), strides=[2, 2])
    x = net.add("PRelu", x, net.constant(np.full((8, 1, 1), 0.2)))
    x = net.add("LeakyRelu", net.add("Elu", x), alpha=0.3)
    y = net.add("Slice", x, *(net.constant([v], np.int64) for v in (-6, 2**31, 1)))
    y = net.add("Gather", y, net.constant([5, -6, 2], np.int64), axis=1)
    y = net.add("Tanh", net.add("Sub", y, net.constant(0.5)))
    x = net.add("Concat", x, y, axis=1)
    x = net.add("Mul", x, net.constant(net.rng.uniform(0.5, 2, (11, 1, 1))))
    top = net.add(
        "ReduceMax" if net.opset < 18 else "GlobalMaxPool",
        x,
        **({"axes": [2, 3], "keepdims": 1} if net.opset < 18 else {}),
    )
    return net.add("Sum", x, top)


@pytest.mark.parametrize(
    "body", [mobilenet_v3, efficientnet, shufflenet_v2, odd_windows, odd_operators]
)
def test_blocks_of_other_families(body: Callable[[Net, str], str], tmp_path: Path) -> None:
    net = Net(opset=14)
    out = net.add("Flatten", net.add("GlobalAveragePool", body(net, "x")), axis=1)
    model = net.model(["N", 3, 16, 16], {out: ["N", "D"]})
    onnx.save(model, str(tmp_path / "net.onnx"))
    check_parity(Backbone.open(tmp_path / "net.onnx", size=16))


def test_an_operator_that_is_not_covered_is_named_with_its_node(tmp_path: Path) -> None:
    net = Net()
    x = net.add("InstanceNormalization", net.conv("x", (3, 4)), *[net.constant([1.0] * 4)] * 2)
    out = net.add("Flatten", net.add("GlobalAveragePool", x), axis=1)
    onnx.save(net.model(["N", 3, 16, 16], {out: ["N", 4]}), str(tmp_path / "net.onnx"))
    with pytest.raises(BackboneError, match=r"InstanceNormalization \(node 'node1'\) is not cov"):
        OnnxModule(Backbone.open(tmp_path / "net.onnx", size=16).frozen(2))


def test_the_way_back_changes_the_changed_initializers_and_nothing_else(tmp_path: Path) -> None:
    opened = Backbone.open(tiny(sparsity=0.5).save(tmp_path / "net.onnx"), size=16)
    module = OnnxModule(opened.frozen(2))
    assert module.write_into(opened.body) == opened.body

    name, parameter = next(module.trainable)
    with torch.no_grad():
        parameter *= 2
    changed = module.write_into(opened.body)
    for before, after in zip(opened.body.graph.initializer, changed.graph.initializer, strict=True):
        factor = 2 if before.name == name else 1
        np.testing.assert_array_equal(
            numpy_helper.to_array(after), factor * numpy_helper.to_array(before)
        )
    assert changed.graph.node == opened.body.graph.node
    images = noise(2, 3, 16, 16)
    expected = run(changed, images)
    assert relative_difference(torch_run(module, images), expected) <= 1e-5


def test_batch_norm_learns_statistics_in_training_and_writes_them_back(tmp_path: Path) -> None:
    opened = Backbone.open(tiny().save(tmp_path / "net.onnx"), size=16)
    module = OnnxModule(opened.frozen(2)).train()
    images = torch.from_numpy(noise(8, 3, 16, 16))
    module(images)
    changed = module.write_into(opened.body)
    moved = [
        before.name
        for before, after in zip(
            opened.body.graph.initializer, changed.graph.initializer, strict=True
        )
        if before != after
    ]
    (node,) = [n for n in opened.body.graph.node if n.op_type == "BatchNormalization"]
    assert sorted(moved) == sorted(node.input[3:])


def test_part_of_a_graph_and_inner_tensors(tmp_path: Path) -> None:
    opened = Backbone.open(tiny().save(tmp_path / "net.onnx"), size=16)
    model = opened.frozen(2)
    inner = model.graph.node[2].output[0]
    images = noise(2, 3, 16, 16)
    with torch.no_grad():
        both = OnnxModule(model, outputs=[inner, "features"]).eval()(torch.from_numpy(images))
    known = {v.name: v for v in model.graph.value_info}
    rest = OnnxModule(subgraph(model, [known[inner]], list(model.graph.output)))
    np.testing.assert_allclose(
        torch_run(rest, both[0].numpy()), both[1].numpy(), rtol=1e-5, atol=1e-6
    )
    assert len(list(rest.trainable)) < len(list(OnnxModule(model).trainable))


def test_gradients_are_those_of_finite_differences(tmp_path: Path) -> None:
    opened = Backbone.open(tiny(size=8, width=6).save(tmp_path / "net.onnx"), size=8)
    module = OnnxModule(opened.frozen(2)).eval().double()
    images = torch.from_numpy(noise(2, 3, 8, 8)).double()
    loss = module(images).square().sum()
    loss.backward()
    step = 1e-6
    for _, parameter in module.trainable:
        flat, gradient = parameter.detach().reshape(-1), parameter.grad.reshape(-1)
        where = int(gradient.abs().argmax())
        values = []
        for sign in (1, -1):
            flat[where] += sign * step
            with torch.no_grad():
                values.append(float(module(images).square().sum()))
            flat[where] -= sign * step
        assert (values[0] - values[1]) / (2 * step) == pytest.approx(
            float(gradient[where]), rel=1e-3
        )
