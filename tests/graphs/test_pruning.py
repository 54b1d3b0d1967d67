"""Pruning by magnitude: exact counts, and how they are spread over layers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.architectures import synthetic
from edgetransfer.errors import UsageError
from edgetransfer.graphs.canonical import canonicalise
from edgetransfer.graphs.pruning import (
    largest_mask,
    layer_sparsities,
    magnitude_masks,
    prunable_weights,
    prune_by_magnitude,
)
from tests.graphs_made import tiny

RNG = np.random.default_rng(0)
LAYERS = {
    "narrow": RNG.normal(0, 1, (8, 4, 3, 3)),
    "wide": RNG.normal(0, 0.1, (64, 64, 1, 1)),
    "last": RNG.normal(0, 0.3, (10, 64)),
}


def test_uniform_prunes_every_layer_alike():
    masks = magnitude_masks(LAYERS, 0.75)
    for name, weights in LAYERS.items():
        kept = np.abs(weights[masks[name]])
        assert masks[name].sum() == weights.size - round(0.75 * weights.size)
        assert kept.min() > np.abs(weights[~masks[name]]).max()


@pytest.mark.parametrize("distribution", ["uniform", "erk", "global"])
def test_every_distribution_reaches_the_sparsity(distribution):
    masks = magnitude_masks(LAYERS, 0.6, distribution)
    zeros = sum(int((~mask).sum()) for mask in masks.values())
    assert zeros == pytest.approx(0.6 * sum(w.size for w in LAYERS.values()), abs=2)


def test_global_takes_the_smallest_of_all_layers():
    masks = magnitude_masks(LAYERS, 0.6, "global")
    kept = min(np.abs(w[masks[n]]).min() for n, w in LAYERS.items() if masks[n].any())
    gone = max(np.abs(w[~masks[n]]).max() for n, w in LAYERS.items() if not masks[n].all())
    assert kept > gone
    assert layer_sparsities(LAYERS, 0.6, "global")["wide"] == 1 - masks["wide"].mean()


def test_erk_by_hand():
    # Scores 18/288, 130/4096, 74/640. At 20 % overall a layer of 288 with scale * score > 1
    # would be dense; at 90 % all are below one: scale = 502.4 / (18 + 130 + 74).
    at_90 = layer_sparsities(LAYERS, 0.9, "erk")
    scale = 0.1 * 5024 / 222
    assert at_90 == pytest.approx(
        {
            "narrow": 1 - scale * 18 / 288,
            "wide": 1 - scale * 130 / 4096,
            "last": 1 - scale * 74 / 640,
        }
    )
    assert layer_sparsities(LAYERS, 0.2, "erk")["last"] == 0


def test_equal_magnitudes_are_counted_exactly():
    assert largest_mask(np.array([[1.0, -1.0], [1.0, 2.0]]), 2).tolist() == [
        [False, False],
        [True, True],
    ]


def test_first_depthwise_and_classifier_stay_dense(tmp_path):
    model = synthetic("mobilenet_v1", size=64, classifier=True)
    names = set(prunable_weights(model))
    assert names == {f"model.{i}.3.weight" for i in range(1, 14)}
    onnx.save(prune_by_magnitude(model, 0.75), str(tmp_path / "net.onnx"))
    layers = Backbone.open(tmp_path / "net.onnx").sparsity_report.layers
    for layer in layers:
        expected = 0.75 if layer.name in names else 0
        assert layer.sparsity == pytest.approx(expected, abs=1e-3), layer.name


def test_what_is_asked_for_is_pruned_too():
    model = canonicalise(tiny(head="gemm").model)
    some, more = prunable_weights(model), prunable_weights(model, first=True)
    assert len(more) == len(some) + 1
    # Its grouped convolution of two groups is no depthwise one.
    assert len(some) == 2


def test_the_given_model_is_not_changed():
    model = synthetic("mobilenet_v1", size=64)
    before = model.SerializeToString(deterministic=True)
    prune_by_magnitude(model, 0.5)
    assert model.SerializeToString(deterministic=True) == before


def test_senseless_wishes_are_refused():
    with pytest.raises(UsageError, match="below 1"):
        magnitude_masks(LAYERS, 1.0, "global")
    with pytest.raises(UsageError, match="uniform, erk, global"):
        magnitude_masks(LAYERS, 0.5, "best")
