"""Whole graphs in the sparse engine against ONNX Runtime, to 1e-4 of the largest feature."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.architectures import synthetic
from edgetransfer.backbones.catalogue import bundled
from edgetransfer.engines.onnxruntime_engine import OnnxRuntimeEngine
from edgetransfer.engines.sparse.lowering import lower
from edgetransfer.engines.sparse.opening import open_sparse
from edgetransfer.native.compiling import why_absent
from tests.engines.sparse.plans import INSTRUCTION_SETS, forced
from tests.graphs_made import (
    noise,
    relative_difference,
    tiny,
    weights_in_constant_nodes,
    weights_in_sparse_initializers,
)

pytestmark = [
    pytest.mark.skipif(why_absent() is not None, reason=str(why_absent())),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

SMALL: dict[str, dict[str, Any]] = {
    "gemm": {},
    "sparse": {"sparsity": 0.9},
    "nhwc": {"layout": "NHWC"},
    "matmul": {"head": "matmul"},
    "average": {"pooling": "average"},
    "squeezenet_form": {"head": "conv_before", "softmax": True},
    "reshape": {"batch": 17, "flatten": "reshape"},
    "reshape_rest": {"batch": 17, "flatten": "reshape_rest"},
    "torch": {"flatten": "torch"},
    "squeeze": {"flatten": "squeeze"},
    "dropout": {"dropout": True},
    "odd_size": {"size": 19},
    "opset9": {"opset": 9, "pooling": "mean"},
    "opset21": {"opset": 21, "pooling": "mean"},
}


def agree(frozen: onnx.ModelProto, counts: tuple[int, ...]) -> None:
    """All rows agree, and short batches have the same bits as long ones."""
    expected = OnnxRuntimeEngine(frozen, threads=None, reason="test")
    engine = open_sparse(frozen, threads=2, reason="test")
    images = noise(*expected.input_shape)
    assert engine.input_shape == expected.input_shape
    features = engine.run(images)
    reference = expected.run(images)
    assert np.ptp(reference) > 0
    assert relative_difference(features, reference) <= 1e-4
    for n in counts:
        np.testing.assert_array_equal(engine.run(images[:n]), features[:n])
    engine.close()


@pytest.mark.parametrize("form", SMALL)
def test_small_graphs(form: str, tmp_path: Path) -> None:
    path = tiny(**SMALL[form]).save(tmp_path / "t.onnx")
    agree(Backbone.open(path).frozen(17), (1, 2, 5, 16))


@pytest.mark.parametrize("change", [weights_in_constant_nodes, weights_in_sparse_initializers])
def test_weights_wherever_they_stand(change: Callable[..., Any]) -> None:
    model = change(tiny(batch=3, sparsity=0.8).model)
    engine = open_sparse(model, threads=1, reason="test")
    plain = open_sparse(tiny(batch=3, sparsity=0.8).model, threads=1, reason="test")
    images = noise(3, 3, 16, 16)
    np.testing.assert_array_equal(engine.run(images), plain.run(images))


@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
def test_the_bundled_backbone(isa: str) -> None:
    backbone = Backbone.open(bundled()["tinyresnet-90"])
    with forced(isa):
        agree(backbone.frozen(33), (1, 3, 16, 17))


def test_a_real_mobilenet(mobilenet: Path) -> None:
    agree(Backbone.open(mobilenet).frozen(3), (1,))


@pytest.mark.parametrize(
    "name",
    ["resnet50", "squeezenet"]
    + [pytest.param(n, marks=pytest.mark.slow) for n in ("densenet121", "inception_v2", "vgg19")],
)
def test_imagenet_graphs(name: str, light: Callable[..., Path]) -> None:
    agree(Backbone.open(light(name, 0.9)).frozen(2), (1,))


@pytest.mark.slow
@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
@pytest.mark.parametrize("architecture", ["resnet18", "resnet50", "mobilenet_v1", "mobilenet_v2"])
@pytest.mark.parametrize("sparsity", [0.0, 0.9])
def test_architectures(architecture: str, sparsity: float, isa: str, tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    onnx.save(synthetic(architecture, sparsity=sparsity), str(path))
    with forced(isa):
        agree(Backbone.open(path).frozen(17), (1, 4))


@pytest.mark.parametrize(
    ("architecture", "kinds"),
    [
        ("mobilenet_v2", {"CONVOLUTION": 35, "DEPTHWISE": 17, "GLOBAL_AVERAGE": 1}),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                ("mobilenet_v1", {"CONVOLUTION": 14, "DEPTHWISE": 13, "GLOBAL_AVERAGE": 1}),
                ("resnet18", {"CONVOLUTION": 20, "MAX_POOL": 1, "GLOBAL_AVERAGE": 1}),
                ("resnet50", {"CONVOLUTION": 53, "MAX_POOL": 1, "GLOBAL_AVERAGE": 1}),
            )
        ),
    ],
)
def test_known_networks_are_convolutions_and_little_else(
    architecture: str, kinds: dict[str, int], tmp_path: Path
) -> None:
    """Normalisations, activations and residual sums cost no operator of their own."""
    onnx.save(synthetic(architecture, sparsity=0.9), str(tmp_path / "t.onnx"))
    plan = lower(Backbone.open(tmp_path / "t.onnx").frozen(1))
    assert Counter(operator.kind.name for operator in plan.operators) == kinds
