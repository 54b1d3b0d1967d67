"""Streaming, the correction, and what is read from a graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgetransfer.backbones import Backbone
from edgetransfer.errors import BackboneError
from edgetransfer.sparsify.activation import Samples, clipped_error, indifferent
from edgetransfer.sparsify.correction import Outputs, clipped_errors, scale_and_shift
from edgetransfer.sparsify.layers import all_layers, find_layers
from edgetransfer.sparsify.photos import find_photos, load_views
from edgetransfer.sparsify.streaming import NetworkPair, batch_axes
from edgetransfer.sparsify.weights import NetworkWeights, Parameters
from tests.graphs.forms import transformer
from tests.graphs_made import run


@pytest.fixture
def frozen(dense: Path) -> onnx.ModelProto:
    return Backbone.open(dense).frozen(8)


def test_what_is_streamed_does_not_depend_on_what_is_kept(
    dense: Path, textures: Path, frozen: onnx.ModelProto
) -> None:
    preprocessing = Backbone.open(dense).preprocessing
    views = load_views(find_photos(textures, 0)[:20], preprocessing, views=2, seed=0)
    assert len(views) == 2 * 18 + 2
    assert views.held_out == 2
    layers = find_layers(frozen)
    streams = []
    for budget in (0, 2**30):
        pair = NetworkPair(frozen, frozen, views, budget=budget, threads=1)
        assert pair.advance(layers[1].node) == bool(budget)
        names = [layers[2].output, frozen.graph.output[0].name]
        chunks = list(pair.stream(names, names[:1]))
        assert [c.first for c in chunks] == [0, 8, 16, 24, 32]
        assert len(chunks[-1].dense[names[0]]) == len(views) - 32
        streams.append(np.concatenate([c.dense[names[1]] for c in chunks]))
    np.testing.assert_allclose(streams[0], streams[1], rtol=1e-5, atol=1e-6)
    whole = run(frozen, views.normalised(0, 8))
    np.testing.assert_allclose(streams[0][:8], whole, rtol=1e-4, atol=1e-5)


def test_a_shift_reaches_the_output_whatever_its_home(frozen: onnx.ModelProto) -> None:
    layers = all_layers(frozen)
    homes = {layer.bias_home for layer in layers}
    assert homes == {"bias"}
    stem = layers[0]
    assert stem.norm is not None
    assert not stem.prunable
    assert [layer.prunable for layer in layers[1:]] == [True, True]
    assert layers[1].groups == 2
    without = onnx.ModelProto()
    without.CopyFrom(frozen)
    for node in without.graph.node:
        if node.op_type == "Conv":
            del node.input[2:]
    layers = all_layers(without)
    assert [layer.bias_home for layer in layers] == ["batch-norm", "new", "new"]
    changed = onnx.ModelProto()
    changed.CopyFrom(without)
    before, now = NetworkWeights(without), NetworkWeights(changed)
    images = np.random.default_rng(0).standard_normal((8, 3, 32, 32)).astype(np.float32)
    shift = np.linspace(-1, 1, 16)
    for layer in layers:
        old = before.parameters(layer)
        scales = layer.scales[:, :, 0]
        new = Parameters(old.weights, shift.reshape(layer.groups, layer.rows) * scales)
        now.write(layer, new, before)
        again = now.parameters(layer, before)
        assert again.shift is not None
        np.testing.assert_allclose((again.shift / scales).ravel(), shift, atol=1e-6)
    # The same shifts as biases of the convolutions themselves.
    expected = onnx.ModelProto()
    expected.CopyFrom(without)
    expected.graph.initializer.append(
        numpy_helper.from_array(shift.astype(np.float32), "the_shift")
    )
    for node in expected.graph.node:
        if node.op_type == "Conv":
            node.input.append("the_shift")
    np.testing.assert_allclose(run(changed, images), run(expected, images), rtol=1e-4, atol=1e-5)


def test_a_scale_and_a_shift_behind_a_relu_are_found() -> None:
    rng = np.random.default_rng(0)
    pruned = rng.standard_normal((4, 5000)).astype(np.float32)
    scale, shift = np.array([0.8, 1.2, 1.0, 1.5]), np.array([0.3, -0.2, 0.0, 0.1])
    dense = (scale[:, None] * pruned + shift[:, None]).astype(np.float32)
    fitted, held_out = Outputs(pruned, dense), Outputs(pruned[:, :500], dense[:, :500])
    lower, upper = np.zeros(4), np.full(4, np.inf)
    found = scale_and_shift(fitted, held_out, lower, upper)
    before = clipped_errors(held_out, np.ones(4), np.zeros(4), lower, upper)
    after = clipped_errors(held_out, *found, lower, upper)
    assert (after <= before).all()
    assert after.sum() < 0.05 * before.sum()
    np.testing.assert_allclose(found[0][2:3], 1.0, atol=0.01)


def test_only_what_the_activation_lets_through_counts(frozen: onnx.ModelProto) -> None:
    layer = all_layers(frozen)[1]
    assert (layer.lower == 0).all()
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((2, layer.columns + 1, 50)).astype(np.float32)
    weights = rng.standard_normal((2, layer.rows, layer.columns + 1))
    made = (weights @ inputs).astype(np.float32)
    dense = np.where(made < 0, made - 1, made).astype(np.float32)
    samples = Samples(inputs, dense)
    assert clipped_error(layer, samples, weights) < 1e-9
    moved = dense + indifferent(layer, dense, inputs, weights)
    np.testing.assert_allclose(moved, made, atol=1e-4)


def test_a_batch_norm_moves_the_bounds(frozen: onnx.ModelProto) -> None:
    stem = all_layers(frozen)[0]
    norm = next(n for n in frozen.graph.node if n.op_type == "BatchNormalization")
    weights = NetworkWeights(frozen)
    gamma, beta, mean, variance = (weights.array(name) for name in norm.input[1:])
    at = gamma * (stem.lower / stem.gain - mean) / np.sqrt(variance + 1e-5) + beta
    np.testing.assert_allclose(at, 0, atol=1e-5)
    assert np.isinf(stem.upper).all()


def test_a_quantised_graph_is_refused() -> None:
    graph = helper.make_graph(
        [helper.make_node("ConvInteger", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, None)],
        [numpy_helper.from_array(np.ones((4, 3, 3, 3), np.uint8), "w")],
    )
    with pytest.raises(BackboneError, match="quantised"):
        find_layers(helper.make_model(graph))


@pytest.mark.parametrize("tokens_first", [True, False])
def test_a_transformers_layers_are_streamed_by_pictures(
    tokens_first: bool, tmp_path: Path, textures: Path
) -> None:
    """Tokens first, pictures second: what is streamed has pictures first all the same."""
    path = tmp_path / "vit.onnx"
    onnx.save(transformer("N", tokens_first=tokens_first), str(path))
    backbone = Backbone.open(path)
    frozen = backbone.frozen(8)
    axes = batch_axes(frozen, backbone.frozen(9))
    layers = find_layers(frozen, axes)
    products = [layer for layer in layers if layer.operator == "MatMul"]
    assert len(products) >= 3
    assert {axes[layer.input] for layer in products[:3]} == {1 if tokens_first else 0}
    # Rows of all pictures at once are no pictures: such a layer is left alone.
    assert not any(layer.operator == "Gemm" for layer in layers)
    views = load_views(find_photos(textures, 0)[:9], backbone.preprocessing, views=1, seed=0)
    for budget in (0, 2**30):
        pair = NetworkPair(frozen, frozen, views, budget=budget, threads=1, axes=axes)
        pair.advance(products[0].node)
        assert pair.shape_of(products[0].output) == [8, 17, 8]
        chunks = list(pair.stream([products[0].output, products[1].output], [products[0].input]))
        made = np.concatenate([chunk.dense[products[0].output] for chunk in chunks])
        read = np.concatenate([chunk.pruned[products[0].input] for chunk in chunks])
        assert made.shape == read.shape == (len(views), 17, 8)
        weights = NetworkWeights(frozen).array(products[0].name)
        np.testing.assert_allclose(made, read @ weights, rtol=1e-4, atol=1e-5)
