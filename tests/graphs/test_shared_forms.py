"""The shared cases of saved forms: each runs, and as the file says where it can be run as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgetransfer.backbones import Backbone
from edgetransfer.errors import BackboneError
from tests.graphs.forms import agree, unoptimised
from tests.graphs_made import noise, run

AS_THEY_ARE = (
    "local_functions",
    "if_squeeze",
    "if_capturing",
    "ort_extended_fusedconv",
    "tf_same_dynamic_padding",
    "gelu_opset20",
    "vit_fixed_batch1",
    "weight_standardisation",
    "vit_cls_sparsify",
)
CONVERTED = ("bf16", "double", "fp16_cast_io", "batchnorm_training_mode", "dropout_training_mode")
IMAGES = noise(4, 3, 64, 64)


@pytest.mark.parametrize("name", AS_THEY_ARE)
def test_forms_that_run_as_they_are(name: str, shared_data: Path) -> None:
    path = shared_data / "cases" / "onnx" / f"{name}.onnx"
    backbone = Backbone.open(path)
    expected = unoptimised(onnx.load(str(path)), backbone.cut.tensor, IMAGES)
    agree(backbone, expected, IMAGES, 1e-5)


@pytest.mark.parametrize("name", CONVERTED)
def test_forms_that_are_converted_say_so(name: str, shared_data: Path) -> None:
    backbone = Backbone.open(shared_data / "cases" / "onnx" / f"{name}.onnx")
    assert any("float32" in text or "training mode" in text for text in backbone.warnings)
    agree(backbone, run(backbone.frozen(4), IMAGES), IMAGES, 1e-5)


def test_eight_bits_run_and_a_weight_that_is_none_is_named(shared_data: Path) -> None:
    folder = shared_data / "cases" / "onnx"
    features = run(Backbone.open(folder / "int8_qoperator.onnx").frozen(4), IMAGES)
    assert features.shape == (4, 32)
    assert np.isfinite(features).all()
    with pytest.raises(BackboneError, match="weights 'onnx::Conv_73' are infinite or not numbers"):
        Backbone.open(folder / "nan_weight.onnx")
