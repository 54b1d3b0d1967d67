"""Every form that the end of a network takes: cut where the features are, or doubted aloud."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgetransfer.backbones import Backbone
from edgetransfer.errors import BackboneError
from edgetransfer.graphs.cut import doubt_of_width
from tests.graphs_made import Net, noise, run, tensor_of

WIDTH, CLASSES = 12, 5


def pooled(net: Net, x: str = "x", name: str = "features") -> str:
    """The features of a small network, (n, WIDTH)."""
    x = net.add("Relu", net.conv(x, (3, WIDTH)))
    return net.add("Flatten", net.add("GlobalAveragePool", x), name=name)


def gemm(net: Net, x: str, made: int = CLASSES) -> str:
    return net.add("Gemm", x, net.weights(made, WIDTH), net.constant(np.ones(made)), transB=1)


def biased(net: Net, x: str) -> str:
    made = net.add("MatMul", x, net.weights(WIDTH, CLASSES))
    return net.add("Add", made, net.constant(np.ones(CLASSES)))


def normalised(net: Net, x: str) -> str:
    """A batch normalisation of its own before a head, as distilled LeViTs have."""
    numbers = [net.constant(net.rng.uniform(0.5, 2, WIDTH)) for _ in range(4)]
    return gemm(net, net.add("BatchNormalization", x, *numbers))


def quantised(net: Net, x: str) -> str:
    """Int8 as ONNX Runtime's dynamic quantisation writes it."""
    made = [f"{x}/{net.rng.integers(10**9)}/{part}" for part in ("q", "s", "z")]
    net.nodes.append(helper.make_node("DynamicQuantizeLinear", [x], made))
    weights = net.constant(net.rng.integers(-127, 127, (WIDTH, CLASSES)), np.int8)
    product = net.add("MatMulInteger", made[0], weights, made[2])
    whole = net.add("Cast", product, to=TensorProto.FLOAT)
    scale = net.add("Mul", made[1], net.constant(0.01))
    return net.add("Add", net.add("Mul", whole, scale), net.constant(np.ones(CLASSES)))


HEADS = {"gemm": gemm, "matmul": biased, "normalised": normalised, "int8": quantised}


def averaged(net: Net, heads: list[str]) -> str:
    return net.add("Div", net.add("Sum", *heads), net.constant(float(len(heads))))


def stacked(net: Net, heads: list[str]) -> str:
    axes = net.constant([0], np.int64)
    rows = [net.add("Unsqueeze", head, axes) for head in heads]
    return net.add("ReduceMean", net.add("Concat", *rows, axis=0), axes=[0], keepdims=0)


def joined(net: Net, heads: list[str]) -> str:
    return net.add("Concat", *heads, axis=1)


JOINS = {"averaged": averaged, "stacked": stacked, "joined": joined}


@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize("join", JOINS)
@pytest.mark.parametrize("pair", list(itertools.combinations_with_replacement(HEADS, 2)))
def test_two_heads_on_one_tensor_are_both_cut_off_aloud(
    pair: tuple[str, str], join: str, softmax: bool, tmp_path: Path
) -> None:
    net = Net()
    features = pooled(net)
    out = logits = JOINS[join](net, [HEADS[name](net, features) for name in pair])
    if softmax:
        out = net.add("Softmax", out, axis=1)
    model = net.model(["N", 3, 16, 16], {out: ["N", CLASSES * (1 + (join == "joined"))]})
    onnx.save(model, str(tmp_path / "net.onnx"))
    backbone = Backbone.open(tmp_path / "net.onnx", normalisation="half")
    # Each may read the features through a normalisation of its own; both must go.
    assert backbone.cut.tensor == features or pair == ("normalised", "normalised")
    assert backbone.dimension == WIDTH
    assert backbone.cut.classifier == logits
    assert any("2 classifiers are joined" in warning for warning in backbone.warnings)
    images = noise(2, 3, 16, 16)
    np.testing.assert_allclose(
        run(backbone.frozen(2), images), tensor_of(model, backbone.cut.tensor, images), rtol=1e-4
    )


@pytest.mark.parametrize("head", HEADS)
def test_one_head_is_cut_off_whatever_it_is_written_as(head: str, tmp_path: Path) -> None:
    net = Net()
    features = pooled(net)
    out = HEADS[head](net, features)
    onnx.save(net.model(["N", 3, 16, 16], {out: ["N", CLASSES]}), str(tmp_path / "net.onnx"))
    backbone = Backbone.open(tmp_path / "net.onnx", normalisation="half")
    assert backbone.dimension == WIDTH
    assert (backbone.cut.tensor == features) == (head != "normalised")
    assert f"({WIDTH} to {CLASSES})" in backbone.cut.what
    assert backbone.cut.classifier == out
    assert backbone.warnings == ()


def test_heads_on_two_tensors_ask_for_one(tmp_path: Path) -> None:
    net = Net()
    heads = [gemm(net, pooled(net, name=name)) for name in ("class_token", "teacher_token")]
    out = averaged(net, heads)
    onnx.save(net.model(["N", 3, 16, 16], {out: ["N", CLASSES]}), str(tmp_path / "net.onnx"))
    with pytest.raises(BackboneError, match=r"2 classifiers.*class_token, teacher_token.*--feat"):
        Backbone.open(tmp_path / "net.onnx")
    named = Backbone.open(tmp_path / "net.onnx", features="teacher_token")
    assert named.cut.tensor == "teacher_token"


def flat_embedding(net: Net) -> tuple[str, int]:
    x = net.add("Relu", net.conv("x", (3, 4), strides=[4, 4]))
    flat = net.add("Flatten", x)
    return net.add("Gemm", flat, net.weights(24, 4 * 16), transB=1), 24


def wide_embedding(net: Net) -> tuple[str, int]:
    return gemm(net, pooled(net), 128), 128


def narrow_answer(net: Net) -> tuple[str, int]:
    x = net.add("Relu", net.conv("x", (3, 1536), strides=[8, 8]))
    flat = net.add("Flatten", net.add("GlobalAveragePool", x))
    return net.add("Gemm", flat, net.weights(20, 1536), transB=1), 20


def imagenet_answers(net: Net) -> tuple[str, int]:
    logits = gemm(net, pooled(net), 1000)
    return net.add("Exp", logits), 1000


def partly_connected(net: Net) -> tuple[str, int]:
    features = pooled(net)
    return net.add("Concat", features, gemm(net, features), axis=1), WIDTH + CLASSES


def neither(net: Net) -> tuple[str, int]:
    x = net.add("Relu", net.conv("x", (3, 4), strides=[4, 4]))
    return net.add("Flatten", x), 64


@pytest.mark.parametrize(
    "form",
    [flat_embedding, wide_embedding, narrow_answer, imagenet_answers, partly_connected, neither],
)
def test_every_doubtful_end_is_doubted_aloud_and_mended_by_a_name(form, tmp_path: Path) -> None:
    net = Net()
    out, width = form(net)
    onnx.save(net.model(["N", 3, 16, 16], {out: ["N", width]}), str(tmp_path / "net.onnx"))
    backbone = Backbone.open(tmp_path / "net.onnx", normalisation="half")
    assert len(backbone.warnings) == 1
    assert "--features" in backbone.warnings[0]
    assert Backbone.open(tmp_path / "net.onnx", features=out).dimension == width


@pytest.mark.parametrize(
    ("dimension", "classes", "doubtful"),
    [(1000, 7, True), (1001, None, True), (7, 7, True), (1280, 7, False), (8, 7, False)],
)
def test_a_width_of_class_scores_is_doubted(dimension, classes, doubtful) -> None:
    assert (doubt_of_width(dimension, classes) is not None) == doubtful
