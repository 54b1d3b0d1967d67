"""A small data set of coloured noise and a small backbone, for whole trainings in seconds."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from edgetransfer.settings.train import LinearTraining

COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}


def write_photos(folder, per_class, seed):
    """Class folders of 40x48 noisy photos of one colour each."""
    rng = np.random.default_rng(seed)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for i in range(per_class):
            pixels = np.clip(rng.normal(colour, 60, (40, 48, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i:03d}.png")


@pytest.fixture
def photos(tmp_path):
    """60 training and 15 test photos of three classes, in train and test folders."""
    write_photos(tmp_path / "photos" / "train", 20, seed=0)
    write_photos(tmp_path / "photos" / "test", 5, seed=1)
    return tmp_path / "photos"


@pytest.fixture(scope="session")
def backbone(tmp_path_factory):
    """A convolution of eight filters, half of its weights zero, pooled: 32 pixels in, 8 out."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(8, 3, 3, 3)).astype(np.float32)
    weights.reshape(-1)[::2] = 0
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], kernel_shape=[3, 3], strides=[2, 2]),
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("GlobalAveragePool", ["r"], ["p"]),
            helper.make_node("Flatten", ["p"], ["y"]),
        ],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 32, 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 8])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    path = tmp_path_factory.mktemp("backbone") / "small.onnx"
    onnx.save(model, str(path))
    return path


@pytest.fixture
def linear_training(backbone, photos, tmp_path):
    """A training of these photos on this backbone, as plain as it can be."""
    return LinearTraining(
        report=False,
        backbone=str(backbone),
        data=photos,
        out=tmp_path / "run",
        engine="onnxruntime",
        threads=1,
        cache_dir=tmp_path / "cache",
    )
