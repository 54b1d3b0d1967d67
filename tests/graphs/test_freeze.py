"""Fixing the input's shape: sizes, batches, and graphs that cannot be had otherwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgetransfer.backbones import Backbone
from edgetransfer.errors import BackboneError
from tests.graphs_made import Net, noise, run, tensor_of, tiny


def open_shape(size: int | str = "S") -> onnx.ModelProto:
    """A fully convolutional network that takes any size."""
    net = Net()
    x = net.add("Relu", net.conv("x", (3, 6)))
    x = net.add("Flatten", net.add("GlobalAveragePool", x), name="features_here")
    out = net.add("Gemm", x, net.weights(4, 6), transB=1)
    return net.model(["N", 3, size, size], {out: ["N", 4]})


def test_the_size_of_a_fixed_graph_is_the_default(tmp_path: Path) -> None:
    backbone = Backbone.open(tiny(size=24).save(tmp_path / "t.onnx"))
    assert backbone.preprocessing.size == 24
    assert backbone.preprocessing.resize == 27  # 24 * 256 / 224 = 27.4


def test_an_open_size_is_224_unless_given(tmp_path: Path) -> None:
    onnx.save(open_shape(), str(tmp_path / "t.onnx"))
    assert Backbone.open(tmp_path / "t.onnx").preprocessing.size == 224
    backbone = Backbone.open(tmp_path / "t.onnx", size=40)
    assert backbone.preprocessing.size == 40
    images = noise(2, 3, 40, 40)
    np.testing.assert_allclose(
        run(backbone.frozen(2), images),
        tensor_of(open_shape(), "features_here", images),
        rtol=1e-4,
        atol=1e-6,
    )


def test_another_size_of_a_fully_convolutional_graph_is_taken(tmp_path: Path) -> None:
    # The file says 32 pixels, but nothing in the graph depends on it.
    onnx.save(open_shape(32), str(tmp_path / "t.onnx"))
    images = noise(1, 3, 48, 48)
    np.testing.assert_allclose(
        run(Backbone.open(tmp_path / "t.onnx", size=48).frozen(1), images),
        tensor_of(open_shape(), "features_here", images),
        rtol=1e-4,
        atol=1e-6,
    )


def test_another_size_of_a_graph_that_cannot_take_it_is_refused(tmp_path: Path) -> None:
    path = tiny(size=16, shuffle=True, batch=1).save(tmp_path / "t.onnx")
    with pytest.raises(BackboneError, match=r"t\.onnx.*made for 16 pixels, not 32"):
        Backbone.open(path, size=32).frozen(1)


@pytest.mark.parametrize("flatten", ["reshape", "reshape_rest"])
def test_a_batch_that_is_built_in_is_opened_not_merged(flatten: str, tmp_path: Path) -> None:
    # The input says any batch, but a Reshape says one image: two images would become one row.
    made = tiny(batch=1, flatten=flatten)
    made.model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    made.model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "N"
    backbone = Backbone.open(made.save(tmp_path / "t.onnx"))
    images = noise(3, 3, 16, 16)
    alone = [run(backbone.frozen(1), image[None]) for image in images]
    np.testing.assert_allclose(
        run(backbone.frozen(3), images), np.concatenate(alone), rtol=1e-5, atol=1e-6
    )


def test_freezing_leaves_the_backbone_as_it_was(tmp_path: Path) -> None:
    backbone = Backbone.open(tiny(batch=1, flatten="reshape").save(tmp_path / "t.onnx"))
    before = backbone.body.SerializeToString(deterministic=True)
    backbone.frozen(5)
    assert backbone.body.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("taken", ["images", "features", "both"])
def test_tensors_that_carry_the_fixed_names_already_are_no_obstacle(
    taken: str, tmp_path: Path
) -> None:
    # Names of the middle of the graph, in the way of the frozen input's and output's.
    made = tiny()
    middle = [n.output[0] for n in made.model.graph.node if n.op_type == "Relu"]
    new = {"images": {middle[0]: "images"}, "features": {middle[1]: "features"}}
    new["both"] = {**new["images"], **new["features"]}
    for node in made.model.graph.node:
        node.input[:] = [new[taken].get(n, n) for n in node.input]
        node.output[:] = [new[taken].get(n, n) for n in node.output]
    backbone = Backbone.open(made.save(tmp_path / "t.onnx"))
    images = noise(2, 3, 16, 16)
    np.testing.assert_allclose(
        run(backbone.frozen(2), images),
        tensor_of(made.model, made.features, images),
        rtol=1e-4,
        atol=1e-6,
    )


def changed_input(shape: list[int | str], kind: int = TensorProto.FLOAT) -> onnx.ModelProto:
    model = tiny().model
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", kind, shape))
    return model


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (changed_input(["N", 1, 28, 28]), "3 channels"),
        (changed_input(["N", 3, 16, 24]), "16x24"),
        (changed_input(["N", 3, 256]), "3 dimensions"),
        (changed_input(["N", 3, 16, 16], TensorProto.UINT8), "UINT8"),
    ],
)
def test_an_input_that_is_no_batch_of_square_rgb_images_is_refused(
    model: onnx.ModelProto, says: str, tmp_path: Path
) -> None:
    onnx.save(model, str(tmp_path / "t.onnx"))
    with pytest.raises(BackboneError, match=rf"t\.onnx.*{says}"):
        Backbone.open(tmp_path / "t.onnx")


def test_two_inputs_are_refused_by_name(tmp_path: Path) -> None:
    model = tiny().model
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))
    onnx.save(model, str(tmp_path / "t.onnx"))
    with pytest.raises(BackboneError, match=r"t\.onnx.*x, mask"):
        Backbone.open(tmp_path / "t.onnx")


def test_features_that_are_neither_rows_nor_maps_are_refused(tmp_path: Path) -> None:
    made = tiny(batch=1, shuffle=True)
    five = next(n.output[0] for n in made.model.graph.node if n.op_type == "Reshape")
    backbone = Backbone.open(made.save(tmp_path / "t.onnx"), features=five)
    with pytest.raises(BackboneError, match=r"t\.onnx.*--features"):
        backbone.frozen(1)
