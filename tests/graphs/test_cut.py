"""Where small graphs of every form are cut."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgetransfer.backbones import Backbone
from edgetransfer.errors import BackboneError
from tests.graphs_made import (
    Made,
    Net,
    noise,
    run,
    tensor_of,
    tiny,
    weights_in_constant_nodes,
    weights_in_sparse_initializers,
    without_names,
)

FORMS: dict[str, dict[str, Any]] = {
    "gemm": {},
    "gemm_transposed": {"head": "gemm_transposed", "softmax": True},
    "matmul": {"head": "matmul", "pooling": "mean"},
    "matmul_softmax": {"head": "matmul", "flatten": "squeeze", "softmax": True},
    "dropout": {"dropout": True},
    "conv_after_pooling": {"head": "conv", "softmax": True},
    "conv_after_average": {"head": "conv", "pooling": "average", "dropout": True},
    "conv_before_softmax": {"head": "conv_before", "softmax": True},
    "conv_before_dropout": {"head": "conv_before", "dropout": True},
    "no_head": {"head": "none"},
    "reduce_mean": {"pooling": "mean"},
    "torch_view": {"flatten": "torch"},
    "nhwc": {"layout": "NHWC"},
    "nhwc_fixed": {"layout": "NHWC", "batch": 1, "flatten": "reshape"},
    "fixed_reshape": {"batch": 1, "flatten": "reshape"},
    "fixed_reshape_rest": {"batch": 4, "flatten": "reshape_rest"},
    "shuffle": {"batch": 1, "shuffle": True, "flatten": "reshape"},
    "sparse": {"sparsity": 0.9},
}


def expected_features(made: Made, images: np.ndarray, layout: str = "NCHW") -> np.ndarray:
    """The features that the graph as it was made computes, one image at a time."""
    fed = images.transpose(0, 2, 3, 1) if layout == "NHWC" else images
    dim = made.model.graph.input[0].type.tensor_type.shape.dim[0]
    step = dim.dim_value or 1
    rows = []
    for image in fed:
        # A batch other than 1 is filled up with copies.
        rows.append(tensor_of(made.model, made.features, np.stack([image] * step))[:1])
    found = np.concatenate(rows)
    return found.mean(axis=(2, 3)) if found.ndim == 4 else found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("batch", [1, 3, 64])
def test_frozen_features_are_the_graphs_own(form: str, batch: int, tmp_path: Path) -> None:
    made = tiny(**FORMS[form])
    path = made.save(tmp_path / "tiny.onnx")
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    backbone = Backbone.open(path)
    images = noise(batch, 3, 16, 16)
    frozen = backbone.frozen(batch)
    onnx.checker.check_model(frozen, full_check=True)
    assert [i.name for i in frozen.graph.input] == ["images"]
    assert [o.name for o in frozen.graph.output] == ["features"]
    assert backbone.dimension == made.dimension
    expected = expected_features(made, images, FORMS[form].get("layout", "NCHW"))
    np.testing.assert_allclose(run(frozen, images), expected, rtol=1e-4, atol=1e-5)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


@pytest.mark.parametrize("form", FORMS)
def test_the_cut_is_found_without_names(form: str, tmp_path: Path) -> None:
    made = tiny(**FORMS[form])
    unnamed, new = without_names(made.model)
    onnx.save(unnamed, str(tmp_path / "unnamed.onnx"))
    backbone = Backbone.open(tmp_path / "unnamed.onnx")
    assert backbone.cut.tensor == new[made.features]
    made.save(tmp_path / "named.onnx")
    images = noise(2, 3, 16, 16)
    expected = run(Backbone.open(tmp_path / "named.onnx").frozen(2), images)
    np.testing.assert_array_equal(run(backbone.frozen(2), images), expected)


@pytest.mark.parametrize("form", [f for f in FORMS if f != "no_head"])
def test_the_cut_off_part_finishes_what_the_features_began(form: str, tmp_path: Path) -> None:
    made = tiny(**FORMS[form])
    backbone = Backbone.open(made.save(tmp_path / "tiny.onnx"))
    dims = backbone.body.graph.input[0].type.tensor_type.shape.dim
    images = noise(*(d.dim_value or 2 for d in dims))
    assert backbone.classifier is not None
    through = run(backbone.classifier, run(backbone.body, images))
    np.testing.assert_allclose(through, run(made.model, images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("opset", [9, 11, 12, 13, 15, 17, 18, 19, 20, 21])
@pytest.mark.parametrize("pooling", ["global", "mean"])
def test_every_opset_gives_the_same_features(opset: int, pooling: str, tmp_path: Path) -> None:
    made = tiny(opset=opset, pooling=pooling, dropout=True)
    backbone = Backbone.open(made.save(tmp_path / "tiny.onnx"))
    images = noise(2, 3, 16, 16)
    frozen = backbone.frozen(2)
    assert all(13 <= o.version <= 19 for o in frozen.opset_import)
    assert frozen.ir_version <= 9
    np.testing.assert_allclose(
        run(frozen, images), expected_features(made, images), rtol=1e-4, atol=1e-5
    )


def test_an_unused_operator_domain_is_left_out(tmp_path: Path) -> None:
    made = tiny()
    made.model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 5))
    backbone = Backbone.open(made.save(tmp_path / "tiny.onnx"))
    assert [o.domain for o in backbone.frozen(1).opset_import] == [""]


@pytest.mark.parametrize("how", ["constant", "sparse", "sparse_coordinates", "listed_as_inputs"])
def test_weights_may_stand_elsewhere_than_in_initializers(how: str, tmp_path: Path) -> None:
    made = tiny(sparsity=0.8)
    plain = Backbone.open(made.save(tmp_path / "plain.onnx"))
    other = onnx.ModelProto()
    other.CopyFrom(made.model)
    if how == "constant":
        other = weights_in_constant_nodes(other)
    elif how.startswith("sparse"):
        other = weights_in_sparse_initializers(other, coordinates=how == "sparse_coordinates")
    else:  # as files of IR version 3 do
        for tensor in other.graph.initializer:
            other.graph.input.append(
                helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            )
    onnx.save(other, str(tmp_path / "other.onnx"))
    backbone = Backbone.open(tmp_path / "other.onnx")
    images = noise(2, 3, 16, 16)
    np.testing.assert_array_equal(run(backbone.frozen(2), images), run(plain.frozen(2), images))
    # Counted by hand: weights of the three convolutions of `tiny`.
    weights = [12 * 3 * 9, 12 * 6 * 9, 12 * 12 * 9]
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in made.model.graph.initializer}
    zeros = [
        int((arrays[n.input[1]] == 0).sum()) for n in made.model.graph.node if n.op_type == "Conv"
    ]
    layers = backbone.sparsity_report.layers
    assert [layer.weights for layer in layers] == weights
    assert [layer.zeros for layer in layers] == zeros
    assert backbone.sparsity == pytest.approx(sum(zeros) / sum(weights))


def test_a_named_tensor_overrides_what_was_found(tmp_path: Path) -> None:
    made = tiny()
    path = made.save(tmp_path / "tiny.onnx")
    relu = next(n.output[0] for n in made.model.graph.node if n.op_type == "Relu")
    backbone = Backbone.open(path, features=relu)
    images = noise(3, 3, 16, 16)
    expected = tensor_of(made.model, relu, images).mean(axis=(2, 3))
    np.testing.assert_allclose(run(backbone.frozen(3), images), expected, rtol=1e-4, atol=1e-6)
    assert backbone.identity != Backbone.open(path).identity


def test_the_logits_may_be_named_as_features(tmp_path: Path) -> None:
    made = tiny(classes=7)
    logits = made.model.graph.output[0].name
    backbone = Backbone.open(made.save(tmp_path / "tiny.onnx"), features=logits)
    assert backbone.dimension == 7
    assert backbone.classifier is None


def test_a_tensor_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tiny().save(tmp_path / "tiny.onnx")
    with pytest.raises(BackboneError, match=r"tiny\.onnx: no tensor 'nowhere'"):
        Backbone.open(path, features="nowhere")


def two_outputs(*, same_features: bool) -> onnx.ModelProto:
    """Two classifiers: on one feature tensor, or each on its own (like an auxiliary head)."""
    net = Net()
    early = net.add("Relu", net.conv("x", (3, 8)))
    late = net.add("Relu", net.conv(early, (8, 8)))
    outputs: dict[str, list[int | str]] = {}
    features = net.add("Flatten", net.add("GlobalAveragePool", late), name="late")
    for index in range(2):
        if index and not same_features:
            features = net.add("Flatten", net.add("GlobalAveragePool", early), name="early")
        out = net.add("Gemm", features, net.weights(4, 8), transB=1, name=f"logits{index}")
        outputs[out] = ["N", 4]
    return net.model(["N", 3, 16, 16], outputs)


def test_two_heads_on_one_tensor_are_not_ambiguous(tmp_path: Path) -> None:
    onnx.save(two_outputs(same_features=True), str(tmp_path / "two.onnx"))
    assert Backbone.open(tmp_path / "two.onnx").cut.tensor == "late"


def test_two_heads_on_two_tensors_are_ambiguous_until_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "two.onnx"
    model = two_outputs(same_features=False)
    onnx.save(model, str(path))
    with pytest.raises(BackboneError, match=r"(?s)two\.onnx.*ambiguous.*early, late.*--features"):
        Backbone.open(path)
    images = noise(2, 3, 16, 16)
    np.testing.assert_allclose(
        run(Backbone.open(path, features="early").frozen(2), images),
        tensor_of(model, "early", images),
        rtol=1e-5,
        atol=1e-6,
    )


def test_features_beside_logits_are_the_features(tmp_path: Path) -> None:
    made = tiny()
    made.model.graph.output.append(
        helper.make_tensor_value_info(made.features, TensorProto.FLOAT, ["N", 12])
    )
    assert Backbone.open(made.save(tmp_path / "t.onnx")).cut.tensor == made.features


def test_a_last_pointwise_convolution_without_signs_of_a_classifier_is_features(
    tmp_path: Path,
) -> None:
    # MobileNet's feature extractor ends in the same operators as SqueezeNet's classifier.
    made = tiny(head="conv_before", classes=20)
    backbone = Backbone.open(made.save(tmp_path / "t.onnx"))
    assert backbone.classifier is None
    assert backbone.dimension == 20


def test_a_doubtful_cut_is_noted(tmp_path: Path) -> None:
    made = tiny(head="conv_before", dropout=True)
    backbone = Backbone.open(made.save(tmp_path / "t.onnx"), mean=(0, 0, 0), std=(1, 1, 1))
    assert backbone.cut.tensor == made.features
    assert len(backbone.warnings) == 1
    assert "--features" in backbone.warnings[0]


@pytest.mark.parametrize("batch", [1, 64])
def test_hidden_fully_connected_layers_belong_to_the_backbone(batch: int, tmp_path: Path) -> None:
    # AlexNet's and VGG's form: features are what the last of three layers reads.
    net = Net()
    x = net.add("Relu", net.conv("x", (3, 4)))
    x = net.add("Reshape", net.add("MaxPool", x, kernel_shape=[4, 4], strides=[4, 4]),
                net.constant([batch, 64], np.int64))  # fmt: skip
    x = net.add("Relu", net.add("Gemm", x, net.weights(20, 64), transB=1))
    features = net.add("Relu", net.add("Gemm", x, net.weights(11, 20), transB=1))
    out = net.add("Gemm", features, net.weights(3, 11), transB=1)
    model = net.model([batch, 3, 16, 16], {out: [batch, 3]})
    onnx.save(model, str(tmp_path / "t.onnx"))
    backbone = Backbone.open(tmp_path / "t.onnx")
    assert backbone.cut.tensor == features
    images = noise(batch, 3, 16, 16)
    expected = tensor_of(model, features, images)
    np.testing.assert_allclose(run(backbone.frozen(batch), images), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        run(backbone.frozen(3), images[:1].repeat(3, axis=0)),
        expected[:1].repeat(3, axis=0),
        rtol=1e-4,
        atol=1e-5,
    )
