"""The small data set and backbones of whole benchmarks."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgetransfer.benchmark import BenchmarkSettings
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


@pytest.fixture
def settings(backbone: Path, sparser: Path, photos: Path, tmp_path: Path) -> BenchmarkSettings:
    """A small benchmark of two backbones."""
    return BenchmarkSettings(
        baseline=str(backbone),
        backbones=(str(sparser),),
        data=(photos,),
        engines=("onnxruntime",),
        epochs=2,
        seeds=2,
        batch_size=16,
        learning_rate=1.0,
        min_crop=0.5,
        threads=1,
        retakes=0,
        profile=False,
        out=tmp_path / "bench",
        cache_dir=tmp_path / "cache",
    )


@pytest.fixture(autouse=True)
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave matplotlib out: the plots have tests of their own, and take most of the time."""
    monkeypatch.setattr("edgetransfer.benchmark.runner.can_plot", lambda: False)
