"""What tests of saved forms share: the file as it is, run unoptimised, and our engines on it.

The reference is ONNX Runtime without optimisations on the file as it is, image by image, wherever
it can run it; else the form that the file was made from.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from edgetransfer.backbones import Backbone
from edgetransfer.engines import open_engine
from edgetransfer.errors import EngineError
from tests.graphs import Net, noise, relative_difference

IMAGES = noise(4, 3, 16, 16)
Edit = Callable[[onnx.ModelProto], None]


def saved(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "form.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def unoptimised(model: onnx.ModelProto, tensor: str, images: np.ndarray) -> np.ndarray:
    """A tensor inside a file as it is, each image alone, as rows of features."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    del copy.graph.output[:]
    copy.graph.output.append(onnx.ValueInfoProto(name=tensor))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(copy.SerializeToString(), options)
    name = session.get_inputs()[0].name
    rows = [session.run(None, {name: image[None]})[0] for image in images]
    return np.concatenate([np.asarray(row, np.float32).reshape(1, -1) for row in rows])


def agree(backbone: Backbone, expected: np.ndarray, images: np.ndarray, tolerance: float) -> None:
    """All engines that take the graph make the features, whatever the batch."""
    for batch in (1, 4):
        frozen = backbone.frozen(batch)
        for name in ("onnxruntime", "sparse"):
            try:
                engine = open_engine(frozen, engine=name, threads=1)
            except EngineError:
                assert name == "sparse"
                continue
            rows = np.concatenate(
                [engine.run(images[i : i + batch]) for i in range(0, len(images), batch)]
            )
            assert relative_difference(rows, expected) <= tolerance, name
            engine.close()


def check(
    model: onnx.ModelProto, folder: Path, *, tolerance: float = 1e-5, images: np.ndarray = IMAGES
) -> Backbone:
    backbone = Backbone.open(saved(model, folder))
    expected = unoptimised(model, backbone.cut.tensor, images)
    agree(backbone, expected, images, tolerance)
    return backbone


def head(net: Net, x: str, channels: int) -> onnx.ModelProto:
    """Pooling and a classifier behind a map of so many channels."""
    x = net.add("Flatten", net.add("GlobalAveragePool", x), axis=1)
    bias = net.constant(np.linspace(-1, 1, 5))
    out = net.add("Gemm", x, net.weights(5, channels), bias, transB=1)
    return net.model(["N", 3, 16, 16], {out: ["N", 5]})
