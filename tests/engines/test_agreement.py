"""The engines give the same features, to 1e-3 of the largest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetransfer.backbones import Backbone
from edgetransfer.engines.deepsparse_engine import DeepSparseEngine
from edgetransfer.engines.onnxruntime_engine import OnnxRuntimeEngine
from edgetransfer.engines.registry import engine_kind
from tests.conftest import needs_deepsparse
from tests.graphs_made import LIGHT_DIMENSIONS, LIGHT_SLOW, noise, relative_difference, tiny

pytestmark = [needs_deepsparse, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

SMALL: dict[str, dict[str, Any]] = {
    "gemm": {},
    "sparse": {"sparsity": 0.9},
    "nhwc": {"layout": "NHWC"},
    "squeezenet_form": {"head": "conv_before", "softmax": True},
    "shuffle": {"batch": 1, "shuffle": True, "flatten": "reshape"},
    "opset9": {"opset": 9, "pooling": "mean"},
    "opset21": {"opset": 21, "pooling": "mean"},
}
SLOW = LIGHT_SLOW | {"densenet121", "inception_v1", "inception_v2"}
LIGHT = [
    pytest.param(n, s, marks=pytest.mark.slow if n in SLOW or (n == "squeezenet" and s) else ())
    for n in LIGHT_DIMENSIONS
    for s in (0.0, 0.9)
]


def both(backbone: Backbone, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    frozen = backbone.frozen(len(images))
    ours, theirs = (
        kind(frozen, threads=None, reason="test") for kind in (DeepSparseEngine, OnnxRuntimeEngine)
    )
    assert ours.input_shape == theirs.input_shape == images.shape
    assert ours.dimension == theirs.dimension == backbone.dimension
    return ours.run(images), theirs.run(images)


@pytest.mark.parametrize("form", SMALL)
def test_small_graphs(form: str, tmp_path: Path) -> None:
    backbone = Backbone.open(tiny(**SMALL[form]).save(tmp_path / "t.onnx"))
    deepsparse, onnxruntime = both(backbone, noise(2, 3, 16, 16))
    assert relative_difference(deepsparse, onnxruntime) <= 1e-3


@pytest.mark.parametrize(("name", "sparsity"), LIGHT)
def test_imagenet_graphs(name: str, sparsity: float, light: Callable[..., Path]) -> None:
    backbone = Backbone.open(light(name, sparsity))
    deepsparse, onnxruntime = both(backbone, noise(1, 3, 224, 224))
    assert np.isfinite(onnxruntime).all()
    assert np.ptp(onnxruntime) > 0
    assert relative_difference(deepsparse, onnxruntime) <= 1e-3


def test_mobilenet(mobilenet: Path) -> None:
    deepsparse, onnxruntime = both(Backbone.open(mobilenet), noise(2, 3, 224, 224))
    assert relative_difference(deepsparse, onnxruntime) <= 1e-3


@pytest.mark.parametrize(("name", "tolerance"), [("openvino", 1e-4), ("openvino-bf16", 3e-2)])
@pytest.mark.parametrize("form", SMALL)
def test_openvino_in_both_precisions(
    form: str, name: str, tolerance: float, tmp_path: Path
) -> None:
    kind = engine_kind(name)
    if (absent := kind.why_absent()) is not None:
        pytest.skip(absent)
    frozen = Backbone.open(tiny(**SMALL[form]).save(tmp_path / "t.onnx")).frozen(2)
    images = noise(2, 3, 16, 16)
    expected = OnnxRuntimeEngine(frozen, threads=1, reason="test").run(images)
    features = kind.open(frozen, threads=1, reason="test").run(images)
    assert relative_difference(features, expected) <= tolerance
