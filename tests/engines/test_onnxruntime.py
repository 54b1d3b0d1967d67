"""ONNX Runtime as an engine and as the reference: its optimisations must not change results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgetransfer.backbones import Backbone
from edgetransfer.engines.onnxruntime_engine import OnnxRuntimeEngine
from edgetransfer.jobs.compact import _largest_difference
from tests.engines.fuzzing.comparing import compared
from tests.engines.fuzzing.graphs import random_graph
from tests.graphs_made import Net, noise, run, unoptimised

POOLINGS = {
    "max": ("MaxPool", {}),
    "max_padded": ("MaxPool", {"pads": [1, 1, 1, 1]}),
    "max_rounded_up": ("MaxPool", {"strides": [2, 2], "ceil_mode": 1}),
    "average": ("AveragePool", {}),
    "average_padded": ("AveragePool", {"pads": [1, 1, 1, 1]}),
    "average_counting": ("AveragePool", {"pads": [1, 1, 1, 1], "count_include_pad": 1}),
    "average_rounded_up": ("AveragePool", {"strides": [2, 2], "ceil_mode": 1}),
}


def padded_pooling(form: str, size: int, pads: list[int]) -> onnx.ModelProto:
    """Numbers below zero, a frame of zeros, a pooling; averaged, as features."""
    operator, options = POOLINGS[form]
    net = Net(opset=14)
    x = net.add("Identity", "x")
    x = net.add("Sub", net.conv(x, (3, 8)), net.constant(9.0))
    framed = net.add("Pad", x, net.constant([0, 0, *pads[:2], 0, 0, *pads[2:]], np.int64))
    x = net.add(operator, net.add("Identity", framed), kernel_shape=[3, 3], **options)
    net.add("Flatten", net.add("GlobalAveragePool", x), name="features")
    model = net.model([2, 3, size, size], {"features": [2, 8]})
    model.graph.input[0].name = "images"
    model.graph.node[0].input[0] = "images"
    return model


@pytest.mark.parametrize("form", POOLINGS)
@pytest.mark.parametrize("pads", [[1, 1, 1, 1], [0, 0, 2, 1]])
def test_zeros_around_an_image_stay_zeros(form: str, pads: list[int]) -> None:
    for size in (8, 9):
        model = padded_pooling(form, size, pads)
        images = noise(2, 3, size, size)
        expected = unoptimised(model, images)
        engine = OnnxRuntimeEngine(model, threads=1, reason="test")
        np.testing.assert_allclose(engine.run(images), expected, rtol=1e-5)
        np.testing.assert_allclose(run(model, images), expected, rtol=1e-5)


def test_random_graphs_agree_with_their_unoptimised_selves() -> None:
    for seed in range(20):
        found = compared(random_graph(seed), engine="onnxruntime", seed=seed)
        assert not found.faulty, (seed, found)


def test_compaction_would_see_a_frame_that_went_missing(tmp_path: Path) -> None:
    """Its reference tells zeros around an image from a maximum's own padding."""
    model = padded_pooling("max", 32, [1, 1, 1, 1])
    other = padded_pooling("max_padded", 32, [0, 0, 0, 0])
    path = tmp_path / "t.onnx"
    onnx.save(model, str(path))
    before = Backbone.open(path, features="features")
    assert _largest_difference(before, model) == 0
    assert _largest_difference(before, other) > 0.01
