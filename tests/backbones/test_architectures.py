"""The architectures: published parameter and multiply-add counts, parity with torch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.architectures import (
    ARCHITECTURES,
    SMALL,
    Conventions,
    ConvLayer,
    GateLayer,
    architecture,
    build,
    random_parameters,
    synthetic,
    trainable_architecture,
    with_widths,
)
from edgetransfer.errors import BackboneError, UsageError
from tests.graphs_made import noise, relative_difference, run
from tests.torch_networks import forward, trained_parameters

# torchvision's model pages; MobileNetV1: 4.2 million (Howard et al. 2017, table 4).
PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "mobilenet_v1": 4_231_976,
    "mobilenet_v2": 3_504_872,
    # EfficientNet-Lite-PyTorch's own count, and torchvision's pages.
    "efficientnet_lite0": 4_652_008,
    "efficientnet_lite1": 5_416_680,
    "efficientnet_lite2": 6_092_072,
    "efficientnet_lite3": 8_197_096,
    "efficientnet_lite4": 13_006_568,
    "efficientnet_b0": 5_288_548,
    "efficientnet_b1": 7_794_184,
    "efficientnet_b2": 9_109_994,
    "mobilenet_v3_small": 2_542_856,
    "mobilenet_v3_large": 5_483_032,
    "regnet_y_200mf": 3_162_996,  # timm's page
    "regnet_y_400mf": 4_344_144,
    "convnext_atto": 3_695_520,  # timm's modules
    "convnext_femto": 5_217_784,
}
# Giga multiply-adds at 224 pixels with the classifier, from the same pages.
GIGA_MACS = {
    "resnet18": 1.814,
    "resnet34": 3.664,
    "resnet50": 4.089,
    "resnet101": 7.801,
    "mobilenet_v1": 0.569,
    "mobilenet_v2": 0.301,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_as_many_as_published(name):
    shapes = ARCHITECTURES[name].parameter_shapes(1000)
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == PARAMETERS[name]


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenet_v1", "mobilenet_v2"])
def test_multiply_adds_are_as_many_as_published(name, tmp_path):
    onnx.save(synthetic(name), str(tmp_path / "net.onnx"))
    backbone = Backbone.open(tmp_path / "net.onnx")
    classifier = 1000 * ARCHITECTURES[name].dimension
    macs = backbone.sparsity_report.dense_macs + classifier
    assert macs / 1e9 == pytest.approx(GIGA_MACS[name], abs=0.0006)
    assert backbone.dimension == ARCHITECTURES[name].dimension
    assert backbone.cut.tensor == "features"


@pytest.mark.parametrize("name", ["resnet34", "resnet101"])
def test_deeper_networks_have_the_published_multiply_adds(name):
    table, side, total = ARCHITECTURES[name], {"input": 224}, 0
    for layer in table.layers:
        side[layer.name] = -(-side[layer.source] // layer.stride)
    for layer in table.convolutions:
        total += int(np.prod(layer.shape)) * side[layer.name] ** 2
    assert (total + 1000 * table.dimension) / 1e9 == pytest.approx(GIGA_MACS[name], abs=0.0006)


@pytest.mark.parametrize(
    "name",
    [
        *("resnet18", "resnet50", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small"),
        *("efficientnet_lite2", "efficientnet_b0", "regnet_y_200mf", "convnext_atto"),
        pytest.param("mobilenet_v3_large", marks=pytest.mark.slow),
        pytest.param("efficientnet_lite0", marks=pytest.mark.slow),
        pytest.param("efficientnet_b1", marks=pytest.mark.slow),
        pytest.param("efficientnet_b2", marks=pytest.mark.slow),
        pytest.param("regnet_y_400mf", marks=pytest.mark.slow),
        pytest.param("convnext_femto", marks=pytest.mark.slow),
    ],
)
def test_the_graph_computes_what_torch_does(name):
    pytest.importorskip("torch", reason="torch is not installed")
    table = ARCHITECTURES[name]
    parameters = trained_parameters(table, seed=3, classes=10)
    images = noise(2, 3, 32, 32)
    model = build(table, parameters, size=32, classifier=True)
    onnx.checker.check_model(model, full_check=True)
    expected = forward(name, parameters, images, table.conventions)
    assert relative_difference(run(model, images), expected) < 1e-4


@pytest.mark.parametrize(
    ("padding", "activation", "size"),
    [
        *(("symmetric", "relu", 32), ("symmetric", "hardswish", 37)),
        *(("same", "relu6", 37), ("same", "silu", 32)),
    ],
)
def test_conventions_are_what_they_say(padding, activation, size):
    pytest.importorskip("torch", reason="torch is not installed")
    under = Conventions(padding=padding, activation=activation, epsilon=0.01)
    table = ARCHITECTURES["mobilenet_v1"].under(under)
    parameters = trained_parameters(table, seed=5, classes=10)
    images = noise(2, 3, size, size)
    model = build(table, parameters, size=size, classifier=True)
    expected = forward("mobilenet_v1", parameters, images, under)
    assert relative_difference(run(model, images), expected) < 1e-4


def test_the_classifier_is_cut_off_by_itself(tmp_path):
    onnx.save(synthetic("resnet18", size=64, classifier=True), str(tmp_path / "net.onnx"))
    backbone = Backbone.open(tmp_path / "net.onnx")
    assert (backbone.cut.tensor, backbone.dimension) == ("features", 512)
    bare = run(synthetic("resnet18", size=64), noise(1, 3, 64, 64))
    np.testing.assert_allclose(run(backbone.frozen(1), noise(1, 3, 64, 64)), bare, rtol=1e-5)


def test_zeros_stay_zeros_through_the_fold():
    table = ARCHITECTURES["mobilenet_v2"]
    parameters = trained_parameters(table, seed=0)
    name = "features.2.conv.0.0.weight"
    parameters[name] = parameters[name] * (np.abs(parameters[name]) > 0.1)
    tensors = {t.name: t for t in build(table, parameters).graph.initializer}
    folded = onnx.numpy_helper.to_array(tensors[name])
    np.testing.assert_array_equal(folded == 0, parameters[name] == 0)


def test_random_weights_are_the_seed_s():
    table = ARCHITECTURES["mobilenet_v1"]
    first, again, other = (random_parameters(table, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["model.3.0.weight"], other["model.3.0.weight"])
    few = random_parameters(table, 1, classes=0)
    assert "fc.weight" not in few
    assert np.array_equal(few["model.13.3.weight"], first["model.13.3.weight"])
    spread = first["model.13.3.weight"].std()
    assert spread == pytest.approx(np.sqrt(2 / 1024), rel=0.01)


def test_what_is_missing_or_misshapen_is_named():
    table = ARCHITECTURES["resnet18"]
    parameters = random_parameters(table, 0)
    with pytest.raises(BackboneError, match=r"layer1\.0\.conv2\.weight.*missing"):
        build(table, {k: v for k, v in parameters.items() if k != "layer1.0.conv2.weight"})
    with pytest.raises(BackboneError, match=r"'conv1\.weight' has shape \(64, 3, 3, 3\)"):
        build(table, {**parameters, "conv1.weight": np.zeros((64, 3, 3, 3))})
    with pytest.raises(BackboneError, match="neither a batch-norm 'bn1' nor a bias"):
        build(table, {k: v for k, v in parameters.items() if not k.startswith("bn1.")})


def test_names_are_found_however_they_are_written():
    assert architecture("ResNet-50").name == "resnet50"
    assert architecture("mobilenetv2").name == "mobilenet_v2"
    with pytest.raises(UsageError, match="known are: resnet18"):
        architecture("resnet152")


def narrowed(table, draw):
    """The table with drawn widths wherever its connections leave them free."""
    channels = {"input": 3}
    layers = []
    for layer in table.layers:
        if isinstance(layer, ConvLayer):
            inputs = channels[layer.source]
            width = draw(st.integers(3, 12))
            if layer.depthwise:
                width = inputs
            elif layer.shortcut:
                width = channels[layer.shortcut]
            elif layer.entry and width == channels[layer.entry]:
                width += 1
            groups = inputs if layer.depthwise else 1
            layer = replace(layer, inputs=inputs, outputs=width, groups=groups)
            channels[layer.name] = width
        else:
            if isinstance(layer, GateLayer):
                layer = replace(
                    layer, channels=channels[layer.source], hidden=draw(st.integers(1, 5))
                )
            channels[layer.name] = channels[layer.source]
        layers.append(layer)
    return replace(table, layers=tuple(layers))


@settings(max_examples=4, deadline=None)
@given(
    st.sampled_from(
        [
            *("resnet18", "resnet50", "mobilenet_v1", "mobilenet_v2"),
            *("efficientnet_lite0", "efficientnet_b0"),
        ]
    ),
    st.data(),
)
def test_widths_are_read_from_the_weights(name, data):
    pytest.importorskip("torch", reason="torch is not installed")
    table = narrowed(ARCHITECTURES[name], data.draw)
    parameters = trained_parameters(table, seed=1, classes=4)
    found = with_widths(ARCHITECTURES[name], lambda n: parameters[n].shape)
    assert found == table
    images = noise(1, 3, 40, 40)
    logits = run(build(found, parameters, size=40, classifier=True), images)
    assert relative_difference(logits, forward(name, parameters, images, table.conventions)) < 1e-4


def test_widths_that_leave_a_connection_open_are_refused():
    # MobileNetV2's fifth stage takes 64 channels and makes 96, so its first block adds nothing:
    # whether one that makes 64 does is told by no weight.
    table = ARCHITECTURES["mobilenet_v2"]
    shapes = table.parameter_shapes()
    name = "features.11.conv.2.weight"
    shapes[name] = (64, *shapes[name][1:])
    with pytest.raises(BackboneError, match="whether they are added is not told"):
        with_widths(table, shapes.__getitem__)
    shapes = ARCHITECTURES["resnet18"].parameter_shapes()
    shapes["layer1.0.conv2.weight"] = (32, 64, 3, 3)
    with pytest.raises(BackboneError, match=r"'layer1.0.conv2.weight' makes 32 .* 64 are"):
        with_widths(ARCHITECTURES["resnet18"], shapes.__getitem__)


def test_small_networks_have_their_published_counts() -> None:
    """ResNet20: 0.27 million (He et al. 2016, table 6); VGG16's convolutions: 14.7 million."""
    counts = {}
    for name in SMALL:
        shapes = trainable_architecture(name).parameter_shapes(10)
        counts[name] = sum(int(np.prod(shape)) for shape in shapes.values())
    # With 1x1 convolutions where the width grows in place of zeros.
    assert counts["resnet20"] == 269_722 + (16 * 32 + 2 * 32 + 32 * 64 + 2 * 64)
    # Its convolutions have no biases beside batch-norm's.
    outputs = sum(layer.outputs for layer in trainable_architecture("vgg16").convolutions)
    assert counts["vgg16"] == 14_728_266 - outputs
    bundled = Backbone.open("tinyresnet-90")
    table = trainable_architecture("small_resnet")
    own = sum(int(np.prod(layer.shape)) for layer in table.convolutions)
    assert own == sum(layer.weights for layer in bundled.sparsity_report.layers)


@pytest.mark.parametrize("name", ["small_resnet", "mobilenet_v1", "mobilenet_v2", "resnet50"])
def test_other_widths_run_and_batchnorm_may_stay(name: str) -> None:
    """With batch-norm as a node or folded in, the features are the same."""
    table = trainable_architecture(name, 0.25)
    parameters = trained_parameters(table, seed=1)
    images = noise(2, 3, 32, 32)
    folded, kept = (
        build(table, parameters, size=32, keep_batchnorm=keep) for keep in (False, True)
    )
    assert sum(n.op_type == "BatchNormalization" for n in kept.graph.node) == sum(
        bool(layer.norm) for layer in table.convolutions
    )
    assert relative_difference(run(kept, images), run(folded, images)) < 1e-4
    assert all(layer.outputs % 8 == 0 for layer in table.convolutions)
