"""The nine ImageNet architectures inside the onnx wheel, with seeded random weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgetransfer.backbones import Backbone
from edgetransfer.graphs.canonical import load_canonical
from edgetransfer.graphs.compact import compact
from tests.graphs_made import (
    LIGHT_DIMENSIONS,
    LIGHT_FOLDER,
    LIGHT_SLOW,
    noise,
    relative_difference,
    run,
    session,
    tensor_of,
)

NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if name in LIGHT_SLOW else name
    for name in LIGHT_DIMENSIONS
]


@pytest.mark.parametrize("name", NAMES)
def test_cut_features_through_the_cut_off_head_give_the_whole_graphs_output(
    name: str, light: Callable[..., Path]
) -> None:
    path = light(name)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    image = noise(1, 3, 224, 224)
    whole = run(onnx.load(str(path)), image).ravel()

    backbone = Backbone.open(path)
    features = run(backbone.body, image)
    assert backbone.classifier is not None
    through = run(backbone.classifier, features).ravel()

    assert backbone.dimension == LIGHT_DIMENSIONS[name]
    # A saturated or constant output would hide differences.
    assert np.ptp(whole) > 1e-5
    if name != "densenet121":  # ends in logits
        assert whole.sum() == pytest.approx(1, abs=1e-4)
        assert whole.max() < 0.99
    np.testing.assert_allclose(through, whole, rtol=2e-4, atol=1e-6)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before == backbone.sha256


@pytest.mark.parametrize("name", ["shufflenet", "squeezenet", "resnet50"])
def test_three_images_at_once_are_three_images_one_by_one(
    name: str, light: Callable[..., Path]
) -> None:
    # All nine fix their batch to 1; ShuffleNet spells it out in 33 Reshapes.
    backbone = Backbone.open(light(name))
    images = noise(3, 3, 224, 224)
    single = session(backbone.frozen(1))
    expected = np.concatenate([single.run(None, {"images": i[None]})[0] for i in images])
    together = run(backbone.frozen(3), images)
    assert together.shape == (3, LIGHT_DIMENSIONS[name])
    assert np.ptp(expected, axis=0).max() > 1e-3
    np.testing.assert_allclose(together, expected, rtol=1e-3, atol=1e-4)


def test_squeezenets_map_before_pooling_becomes_its_spatial_mean(
    light: Callable[..., Path],
) -> None:
    path = light("squeezenet")
    backbone = Backbone.open(path)
    image = noise(1, 3, 224, 224)
    map_ = tensor_of(onnx.load(str(path)), backbone.cut.tensor, image)
    assert map_.shape == (1, 512, 13, 13)
    np.testing.assert_allclose(
        run(backbone.frozen(1), image), map_.mean(axis=(2, 3)), rtol=1e-4, atol=1e-5
    )


def test_weights_in_constant_of_shape_nodes_are_read_as_weights() -> None:
    # As shipped: every weight is made by a ConstantOfShape node.
    backbone = Backbone.open(LIGHT_FOLDER / "light_squeezenet.onnx")
    assert backbone.dimension == 512
    assert not any(n.op_type == "ConstantOfShape" for n in backbone.body.graph.node)
    report = backbone.sparsity_report
    # 26 convolutions, the last of which is the classifier; none of the constants is zero.
    assert len(report.layers) == 25
    assert report.layers[0].shape == (64, 3, 3, 3)
    assert report.layers[0].positions == 111 * 111  # no padding, stride 2
    assert report.sparsity == 0


def test_resnet50_has_the_multiply_adds_of_its_paper(light: Callable[..., Path]) -> None:
    # With the stride in the 3x3 convolutions: 4.089 G, of which the classifier has 2.05 M.
    report = Backbone.open(light("resnet50")).sparsity_report
    assert report.dense_macs == pytest.approx(4.089e9 - 2.048e6, rel=0.0005)
    assert sum(layer.weights for layer in report.layers) == 23_454_912


def test_a_sparse_resnet50_is_measured_as_sparse(light: Callable[..., Path]) -> None:
    report = Backbone.open(light("resnet50", sparsity=0.9)).sparsity_report
    assert report.sparsity == pytest.approx(0.9, abs=0.001)
    assert report.nonzero_macs / report.dense_macs == pytest.approx(0.1, abs=0.005)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["squeezenet", "inception_v2", "densenet121", "resnet50"])
def test_dead_channels_go_without_a_trace(light, name):
    model = load_canonical(light(name))
    rng = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor).copy()
        if values.ndim == 4:
            values[rng.random(len(values)) < 0.3] = 0
            values[:, rng.random(values.shape[1]) < 0.1] = 0
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    smaller, found = compact(model)
    assert found.cut_outputs > 500
    image = noise(1, 3, 224, 224)
    assert relative_difference(run(smaller, image), run(model, image)) < 1e-5
