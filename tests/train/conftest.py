"""The small data set and backbone of whole trainings, and settings for them."""

import numpy as np
import pytest

from edgetransfer import LinearTraining
from edgetransfer.heads import LinearHead
from tests.photos import backbone, photos

__all__ = ["backbone", "photos"]


@pytest.fixture
def settings(photos, backbone, tmp_path):
    return LinearTraining(
        report=False,
        backbone=str(backbone),
        data=photos,
        out=tmp_path / "run",
        mode="online",
        solver="sgd",
        epochs=3,
        batch_size=8,
        engine="onnxruntime",
        cache_dir=tmp_path / "cache",
        learning_rate=0.1,
    )


def head_of(settings):
    return LinearHead.load(settings.out / "head.safetensors")


def same_head(first, second):
    return np.array_equal(first.weights, second.weights) and np.array_equal(first.bias, second.bias)
