"""Whichever layers run in lanes, a module makes torch's features and torch's gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetransfer.finetune.lane_layers import LaneLayer, lane_layer
from edgetransfer.finetune.lane_steps import lane_steps
from edgetransfer.finetune.masks import WeightMasks
from edgetransfer.finetune.module import OnnxModule
from edgetransfer.finetune.running import Runner
from edgetransfer.graphs.graph import Graph
from edgetransfer.masked import TrainingThreads
from edgetransfer.native.compiling import why_absent
from tests.graphs_made import Net, noise

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))
THREADS = 2


def layers_of(model: onnx.ModelProto) -> dict[str, LaneLayer]:
    """Every layer that can be trained in lanes, by the tensor that it makes."""
    graph, masks = Graph(model), WeightMasks.of(model).masks
    threads = TrainingThreads.of(THREADS)
    found = (lane_layer(node, graph, masks, threads) for node in model.graph.node)
    return {layer.output: layer for layer in found if layer is not None}


def runner(
    model: onnx.ModelProto, chosen: dict[str, LaneLayer], *, checkpointing: bool = False
) -> Runner:
    module = OnnxModule(model, overwrite=not checkpointing)
    if chosen:
        threads = TrainingThreads.of(THREADS)
        module.steps = lane_steps(module.steps, model.graph.node, module.outputs, chosen, threads)
    module.train()
    return Runner(module, torch.device("cpu"), bfloat16=False, checkpointing=checkpointing)


def trained(found: Runner, images: np.ndarray) -> dict[str, torch.Tensor]:
    """Features, batch-norm's statistics, and the gradients by all parameters."""
    x = torch.from_numpy(images).requires_grad_()
    features = found([x])
    way = torch.from_numpy(noise(*features.shape, seed=7))
    (features * way).sum().backward()
    module = found.module
    values = {f"by {name}": p.grad for name, p in module.trainable if p.grad is not None}
    statistics = {f"{name} itself": buffer.clone() for name, buffer in module.named_buffers()}
    assert x.grad is not None
    return {"features": features.detach(), "by images": x.grad, **values, **statistics}


def check_alike(
    model: onnx.ModelProto, chosen: dict[str, LaneLayer], images: np.ndarray, **options: Any
) -> None:
    masks = WeightMasks.of(model).masks
    expected = trained(runner(model, {}), images)
    found = trained(runner(model, chosen, **options), images)
    assert found.keys() == expected.keys()
    largest = max(float(v.abs().max()) for name, v in expected.items() if name.startswith("by w"))
    for name, value in expected.items():
        mask = masks.get(name.removeprefix("by "))
        kept = value if mask is None else value * torch.from_numpy(mask)
        own = found[name] if mask is None else found[name] * torch.from_numpy(mask)
        # A bias before batch-norm has no gradient but rounding.
        scale = float(value.abs().max()) + 1e-2 * largest
        assert float((own - kept).abs().max()) <= 1e-4 * scale, name


def network(seed: int = 0) -> onnx.ModelProto:
    """Residual, depthwise and squeezed blocks, pooling and a fully connected layer."""
    net = Net(seed=seed)
    x = net.conv("x", (3, 8), strides=[2, 2])
    x = net.add("Relu", net.batch_norm(x, 8))
    x = net.add("MaxPool", x, kernel_shape=[2, 2], strides=[1, 1])
    inner = net.add("Relu", net.batch_norm(net.conv(x, (8, 16), sparsity=0.8), 16))
    inner = net.conv(inner, (16, 16), group=16)
    inner = net.batch_norm(net.conv(inner, (16, 8), kernel=1, sparsity=0.7), 8)
    x = net.add("Relu", net.add("Add", x, inner))
    squeezed = net.conv(net.add("GlobalAveragePool", x), (8, 8), kernel=1, sparsity=0.5)
    x = net.add("Mul", x, net.add("Sigmoid", squeezed))
    limits = [net.constant(limit) for limit in ((0.0, 0.4) if seed % 2 == 0 else (0.0,))]
    x = net.add("Clip", net.conv(x, (8, 12), strides=[2, 2], sparsity=0.9), *limits)
    x = net.add("Mul", x, net.constant(np.ones((12, 1, 1)) * 1.5))
    x = net.add("Flatten", net.add("GlobalAveragePool", x))
    x = net.add("Gemm", x, net.weights(12, 10, sparsity=0.5), net.constant(np.ones(10)))
    x = net.add("Relu", x)
    x = net.add("Gemm", x, net.weights(6, 10, sparsity=0.5), name="y", transB=1)
    return net.model([4, 3, 17, 17], {x: [4, 6]})


@pytest.mark.parametrize("images", [2, 16, 19])
def test_all_layers_in_lanes(images: int) -> None:
    model = network()
    check_alike(model, layers_of(model), noise(images, 3, 17, 17))


@settings(max_examples=6, deadline=None)
@given(st.lists(st.booleans(), min_size=8, max_size=8), st.integers(0, 9))
def test_any_layers_in_lanes(which: list[bool], seed: int) -> None:
    model = network(seed)
    layers = layers_of(model)
    chosen = {k: v for (k, v), taken in zip(layers.items(), which, strict=True) if taken}
    check_alike(model, chosen, noise(3, 3, 17, 17, seed=seed))


def test_with_checkpointing_batch_norm_learns_once() -> None:
    model = network()
    check_alike(model, layers_of(model), noise(5, 3, 17, 17), checkpointing=True)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[onnx.ModelProto, np.ndarray]:
    """One convolution of any window, and images for it."""
    net = Net(seed=draw(st.integers(0, 999)))
    groups, size = draw(st.sampled_from([1, 1, 2, 4])), draw(st.integers(5, 12))
    kernel = [draw(st.integers(1, 4)), draw(st.integers(1, 4))]
    density = draw(st.sampled_from([0.02, 0.1, 0.25, 1.0]))
    weights = net.weights(8, 4 // groups, *kernel, sparsity=1 - density)
    options: dict[str, Any] = {"strides": [draw(st.integers(1, 3)), draw(st.integers(1, 3))]}
    if draw(st.booleans()):
        options["auto_pad"] = draw(st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID"]))
    else:
        options["pads"] = [draw(st.integers(0, 2)) for _ in range(4)]
    inputs = [weights, net.constant(np.arange(8) / 8)] if draw(st.booleans()) else [weights]
    y = net.add("Conv", "x", *inputs, name="y", group=groups, kernel_shape=kernel, **options)
    images = noise(draw(st.integers(1, 33)), 4, size, size + 1)
    return net.model([2, 4, size, size + 1], {y: [2, 8, None, None]}), images


@settings(max_examples=25, deadline=None)
@given(convolutions())
def test_a_convolution_of_any_window(case: tuple[onnx.ModelProto, np.ndarray]) -> None:
    model, images = case
    layers = layers_of(model)
    assert list(layers) == ["y"]
    check_alike(model, layers, images)


def test_what_is_no_such_layer_stays_in_torch() -> None:
    net = Net()
    x = net.add("Gemm", "x", net.weights(4, 4), alpha=0.5)
    x = net.add("MatMul", x, net.weights(4, 4), name="y")
    assert layers_of(net.model([2, 4], {x: [2, 4]})) == {}
