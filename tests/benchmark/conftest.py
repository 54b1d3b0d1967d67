"""The small data set and backbones of whole benchmarks."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.photos import backbone, photos

__all__ = ["backbone", "photos", "sparser"]


@pytest.fixture
def sparser(backbone: Path, tmp_path: Path) -> Path:
    """The small backbone with three quarters of its weights zero."""
    model = onnx.load(str(backbone))
    (tensor,) = model.graph.initializer
    weights = numpy_helper.to_array(tensor).copy()
    weights.reshape(-1)[1::4] = 0
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(weights), tensor.name))
    path = tmp_path / "sparser.onnx"
    onnx.save(model, str(path))
    return path


@pytest.fixture(autouse=True)
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave matplotlib out: the plots have tests of their own, and take most of the time."""
    monkeypatch.setattr("edgetransfer.benchmark.runner.can_plot", lambda: False)
