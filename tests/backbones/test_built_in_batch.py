"""A batch that is built into a graph is opened, where pictures stay apart."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgetransfer.backbones import Backbone
from edgetransfer.errors import BackboneError
from tests.backbones.forms import check, head, saved, unoptimised
from tests.graphs import Net, noise, relative_difference, run

# A batch of one, built in.


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


@pytest.mark.parametrize("tokens_first", [True, False])
@pytest.mark.parametrize("batch", [1, "N"])
def test_a_transformer_made_for_one_picture_takes_many(
    batch: int | str, tokens_first: bool, tmp_path: Path
) -> None:
    model = transformer(batch, tokens_first=tokens_first)
    backbone = check(model, tmp_path)
    for count in (2, 3, 7):
        images = noise(count, 3, 16, 16, seed=count)
        expected = unoptimised(model, backbone.cut.tensor, images)
        assert relative_difference(run(backbone.frozen(count), images), expected) <= 1e-5


def test_a_graph_that_would_mix_pictures_is_refused(tmp_path: Path) -> None:
    """The batch axis of one is used as something else: a maximum over it."""
    net = Net(opset=17)
    x = net.conv("x", (3, 4))
    x = net.add("Transpose", x, perm=[2, 0, 3, 1])
    x = net.add("Reshape", x, net.constant([16, 1, 64], np.int64))
    best = net.add("ReduceMax", x, axes=[1], keepdims=1)
    x = net.add("Sub", x, net.add("Mul", best, net.constant(0.5)))
    x = net.add(
        "Transpose",
        net.add("Reshape", x, net.constant([16, 1, 16, 4], np.int64)),
        perm=[1, 3, 0, 2],
    )
    backbone = Backbone.open(saved(head(net, x, 4), tmp_path))
    backbone.frozen(1)
    with pytest.raises(BackboneError, match="mixes them"):
        backbone.frozen(2)
