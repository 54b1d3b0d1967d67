"""What tests of saved forms share: the file as it is, run unoptimised, and our engines on it.

The reference is ONNX Runtime without optimisations on the file as it is, image by image, wherever
it can run it; else the form that the file was made from.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from edgetransfer.backbones import Backbone
from edgetransfer.engines import open_engine
from edgetransfer.errors import EngineError
from tests.graphs_made import Net, noise, relative_difference

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


def transformer(batch: int | str, *, tokens_first: bool, heads: int = 2) -> onnx.ModelProto:
    """A class token, position embeddings and attention, with the batch spelt out in shapes."""
    net = Net(opset=17, seed=3)
    b, width, side = (batch if isinstance(batch, int) else 1), 8, 4
    x = net.add("Conv", "x", net.weights(width, 3, 4, 4), strides=[4, 4])
    x = net.add("Reshape", x, net.constant([b, width, side * side], np.int64))
    x = net.add("Transpose", x, perm=[0, 2, 1])
    token = net.add(
        "Expand",
        net.constant(net.rng.normal(size=(1, 1, width))),
        net.constant([b, 1, width], np.int64),
    )
    x = net.add("Concat", token, x, axis=1)
    tokens = side * side + 1
    x = net.add("Add", x, net.constant(net.rng.normal(size=(1, tokens, width))))

    def shape(*dims: int) -> str:
        return net.constant(dims, np.int64)

    each = width // heads
    if tokens_first:
        x = net.add("Transpose", x, perm=[1, 0, 2])
    parts = []
    for _ in range(3):
        y = net.add("MatMul", x, net.weights(width, width))
        if tokens_first:
            y = net.add("Reshape", y, shape(tokens, b * heads, each))
            parts.append(net.add("Transpose", y, perm=[1, 0, 2]))
        else:
            y = net.add("Reshape", y, shape(b, tokens, heads, each))
            parts.append(net.add("Transpose", y, perm=[0, 2, 1, 3]))
    q, k, v = parts
    k = net.add("Transpose", k, perm=[0, 2, 1] if tokens_first else [0, 1, 3, 2])
    scores = net.add("MatMul", net.add("Div", q, net.constant(math.sqrt(each))), k)
    y = net.add("MatMul", net.add("Softmax", scores, axis=-1), v)
    if tokens_first:
        y = net.add("Transpose", y, perm=[1, 0, 2])
        y = net.add("Reshape", y, shape(tokens * b, width))  # rows of all pictures
        y = net.add("Gemm", y, net.weights(width, width), transB=1)
        y = net.add("Reshape", y, shape(tokens, b, width))
        x = net.add("Add", x, y)
        x = net.add("Transpose", x, perm=[1, 0, 2])
    else:
        y = net.add("Transpose", y, perm=[0, 2, 1, 3])
        y = net.add("Reshape", y, shape(b, tokens, width))
        x = net.add("Add", x, net.add("MatMul", y, net.weights(width, width)))
    ones, zeros = net.constant(np.ones(width)), net.constant(np.zeros(width))
    x = net.add("LayerNormalization", x, ones, zeros, axis=-1)
    x = net.add("Gather", x, net.constant(0, np.int64), axis=1)
    out = net.add("Gemm", x, net.weights(5, width), transB=1)
    return net.model([batch, 3, 16, 16], {out: [batch, 5]})
