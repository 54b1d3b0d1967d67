"""The small data set and backbone of whole trainings, and settings for them."""

from dataclasses import replace

import numpy as np
import pytest

from edgetransfer.heads import LinearHead
from tests.photos import backbone, linear_training, photos

__all__ = ["backbone", "linear_training", "photos"]


@pytest.fixture
def settings(linear_training):
    return replace(
        linear_training, mode="online", solver="sgd", epochs=3, batch_size=8, learning_rate=0.1
    )


def head_of(settings):
    return LinearHead.load(settings.out / "head.safetensors")


def same_head(first, second):
    return np.array_equal(first.weights, second.weights) and np.array_equal(first.bias, second.bias)
