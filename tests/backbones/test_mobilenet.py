"""The shared MobileNetV1, a feature extractor without a classifier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgetransfer.backbones import Backbone
from tests.graphs_made import noise, run, without_names


def test_its_features_are_its_output(mobilenet: Path) -> None:
    backbone = Backbone.open(mobilenet, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    image = noise(1, 3, 224, 224)
    assert backbone.dimension == 1024
    assert backbone.classifier is None
    assert backbone.preprocessing.size == 224
    assert backbone.warnings == ()
    expected = run(onnx.load(str(mobilenet)), image)
    np.testing.assert_allclose(run(backbone.frozen(1), image), expected, rtol=1e-5, atol=1e-5)


def test_names_carry_no_meaning(mobilenet: Path, tmp_path: Path) -> None:
    unnamed, _ = without_names(onnx.load(str(mobilenet)))
    onnx.save(unnamed, str(tmp_path / "unnamed.onnx"))
    backbone = Backbone.open(tmp_path / "unnamed.onnx")
    images = noise(2, 3, 224, 224)
    assert backbone.dimension == 1024
    expected = run(Backbone.open(mobilenet).frozen(2), images)
    np.testing.assert_allclose(run(backbone.frozen(2), images), expected, rtol=1e-5, atol=1e-5)


def test_its_multiply_adds_are_those_of_its_paper(mobilenet: Path) -> None:
    # Howard et al. 2017, table 4: 569 million, of which the classifier has 1.02.
    report = Backbone.open(mobilenet).sparsity_report
    assert report.dense_macs == pytest.approx(568e6, rel=0.005)
    assert len(report.layers) == 27
    assert report.nonzero_macs <= report.dense_macs
