"""Backbone and head as one graph say what the two say, whatever the backbone's form."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from PIL import Image

from edgetransfer.backbones import Backbone
from edgetransfer.errors import BackboneError
from edgetransfer.graphs.cut import check_tensor
from edgetransfer.heads import FeatureMap, LinearHead, Novelty
from edgetransfer.heads.feature_maps import MAPS
from edgetransfer.images import normalise
from edgetransfer.merging import merged, read_merged
from edgetransfer.merging.metadata import (
    DISTANCE_KEY,
    FORMAT_KEY,
    LABELS_KEY,
    PREPROCESSING_KEY,
    UNKNOWN_KEY,
)
from edgetransfer.merging.unknown import DISTANCE
from edgetransfer.settings.train import MapName
from edgetransfer.types import NORMALISATIONS, Preprocessing
from tests.graphs_made import LIGHT_DIMENSIONS, LIGHT_SLOW, run, session, tiny

SIZE = 16
PIXELS = np.random.default_rng(5).integers(0, 256, (3, SIZE, SIZE, 3), np.uint8)
CLASSES = ("a cat", "a\nline", "Ünïcode", 'quote " and \\')

FORMS = [
    form
    for form in itertools.product(
        ("gemm", "conv_before"),
        ("flatten", "reshape", "reshape_rest", "torch"),
        ("NCHW", "NHWC"),
        ("N", 1),
    )
    if not (form[1].startswith("reshape") and form[3] == "N")  # a shape can't spell it
]


def fed(preprocessing: Preprocessing) -> np.ndarray:
    images = np.empty((len(PIXELS), 3, SIZE, SIZE), np.float32)
    for picture, out in zip(PIXELS, images, strict=True):
        normalise(Image.fromarray(picture), preprocessing, out)
    return images


def backbone_of(folder: Path, preprocessing: Preprocessing, **form: object) -> Backbone:
    path = tiny(size=SIZE, sparsity=0.7, **form).save(folder / "net.onnx")
    return Backbone.open(path).seeing(preprocessing)


def zeros(backbone: Backbone) -> int:
    return sum(layer.zeros for layer in backbone.sparsity_report.layers)


@pytest.mark.parametrize(("head", "flatten", "layout", "batch"), FORMS)
def test_any_form_merges_and_comes_apart_again(
    head: str, flatten: str, layout: str, batch: int | str, tmp_path: Path
) -> None:
    pre = Preprocessing(size=SIZE, resize=SIZE)
    backbone = backbone_of(tmp_path, pre, head=head, flatten=flatten, layout=layout, batch=batch)
    linear = LinearHead.initial(backbone.dimension, CLASSES, 0)
    expected = linear.predict_proba(run(backbone.frozen(3), fed(pre)))
    for inside in (False, True):
        pictures = PIXELS if inside else fed(pre)
        single = merged(backbone, linear, preprocessing_inside=inside, open_batch=False)
        onnx.checker.check_model(single, full_check=True)
        found = np.concatenate([run(single, picture[None]) for picture in pictures])
        np.testing.assert_allclose(found, expected, atol=1e-5)
        if batch == "N":
            opened = merged(backbone, linear, preprocessing_inside=inside)
            onnx.checker.check_model(opened, full_check=True)
            np.testing.assert_allclose(run(opened, pictures), expected, atol=1e-5)
            single = opened
        path = tmp_path / f"merged{inside}.onnx"
        path.write_bytes(single.SerializeToString())
        apart = read_merged(path)
        assert apart.inside == inside
        assert apart.head.classes == CLASSES
        assert zeros(apart.backbone) == zeros(backbone) > 0
        features = run(apart.backbone.frozen(3), fed(pre))
        np.testing.assert_allclose(apart.head.predict_proba(features), expected, atol=1e-5)


@settings(max_examples=10, deadline=None)
@given(
    normalisation=st.sampled_from(sorted(NORMALISATIONS)),
    channels=st.sampled_from(["RGB", "BGR"]),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
    threshold=st.none() | st.floats(0, 1),
    classes=st.lists(st.text(min_size=1), min_size=2, max_size=5, unique=True),
)
def test_a_merged_file_says_how_it_is_fed_and_what_it_knows(
    tmp_path_factory: pytest.TempPathFactory,
    normalisation: str,
    channels: str,
    interpolation: str,
    threshold: float | None,
    classes: list[str],
) -> None:
    folder = tmp_path_factory.mktemp("merged")
    usual = NORMALISATIONS[normalisation]
    pre = Preprocessing(
        size=SIZE,
        resize=20,
        mean=usual.mean,
        std=usual.std,
        channels=channels,
        interpolation=interpolation,
    )
    names = tuple(name.encode("utf-8", "replace").decode() for name in classes)
    backbone = backbone_of(folder, pre)
    linear = LinearHead.initial(backbone.dimension, names, 0)
    model = merged(backbone, linear, preprocessing_inside=True, unknown_below=threshold)
    outside = merged(backbone, linear, unknown_below=threshold)
    np.testing.assert_allclose(run(model, PIXELS), run(outside, fed(pre)), atol=1e-4)
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    apart = read_merged(path)
    assert apart.backbone.preprocessing == pre
    assert apart.head.classes == names
    assert apart.unknown_below == threshold


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("dead", [False, True])
def test_what_a_head_does_to_features_is_in_the_graph(
    name: MapName, dead: bool, tmp_path: Path
) -> None:
    pre = Preprocessing(size=SIZE, resize=SIZE)
    path = tiny(size=SIZE).save(tmp_path / "net.onnx")
    if dead:  # rows of zeros have no length to be divided by
        model = onnx.load(path)
        for tensor in model.graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT:
                zero = np.zeros(tuple(tensor.dims), np.float32)
                tensor.CopyFrom(numpy_helper.from_array(zero, tensor.name))
        onnx.save(model, path)
    backbone = Backbone.open(path).seeing(pre)
    feature_map = FeatureMap.made(name, backbone.dimension, width=20)
    width = 20 if name == "relu" else backbone.dimension
    linear = replace(LinearHead.initial(width, CLASSES, 0), map=feature_map)
    images = fed(pre)
    assert run(backbone.frozen(3), images).any() != dead
    expected = linear.predict_proba(run(backbone.frozen(3), images))
    model = merged(backbone, linear)
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_allclose(run(model, images), expected, atol=1e-5)
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    apart = read_merged(path)
    features = run(apart.backbone.frozen(3), images)
    np.testing.assert_allclose(apart.head.predict_proba(features), expected, atol=1e-5)


def telling(width: int, *, without: tuple[int, ...] = (), axes: int = 3) -> Novelty:
    """Of four classes, of which some have no sample."""
    rng = np.random.default_rng(width)
    nearer = rng.random(len(CLASSES)).astype(np.float32)
    nearer[list(without)] = -1e30
    return Novelty(
        axes=rng.standard_normal((width, axes)).astype(np.float32),
        centre=rng.standard_normal(axes).astype(np.float32),
        prototypes=rng.standard_normal((len(CLASSES), axes)).astype(np.float32),
        nearer=nearer,
        threshold=0.25,
        rejected=0.03,
    )


@pytest.mark.parametrize(
    ("name", "opset", "inside", "without", "axes"),
    [
        ("raw", 13, False, (), 1),
        ("power", 17, True, (2,), 3),
        ("l2", 18, False, (0, 1), 5),
        ("power-l2", 19, True, (), 3),
        ("relu", 20, False, (3,), 2),
    ],
)
def test_what_tells_the_unknown_is_in_the_graph_and_comes_out_again(
    name: MapName, opset: int, inside: bool, without: tuple[int, ...], axes: int, tmp_path: Path
) -> None:
    pre = Preprocessing(size=SIZE, resize=SIZE)
    path = tiny(size=SIZE, opset=opset).save(tmp_path / "net.onnx")
    backbone = Backbone.open(path).seeing(pre)
    feature_map = FeatureMap.made(name, backbone.dimension, width=20)
    width = 20 if name == "relu" else backbone.dimension
    novelty = telling(width, without=without, axes=axes)
    linear = replace(LinearHead.initial(width, CLASSES, 0), map=feature_map, novelty=novelty)
    features = run(backbone.frozen(3), fed(pre))
    expected = novelty.distances(feature_map(features))
    model = merged(backbone, linear, preprocessing_inside=inside)
    onnx.checker.check_model(model, full_check=True)
    opened = session(model)
    given = {"images": PIXELS if inside else fed(pre)}
    probabilities, found = opened.run(None, given)  # in this order, as readers of before take it
    assert probabilities.shape == (3, len(CLASSES))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    apart = read_merged(path)
    assert apart.head.novelty is not None
    for part, value in novelty.tensors().items():
        np.testing.assert_array_equal(apart.head.novelty.tensors()[part], value)
    assert (apart.head.novelty.threshold, apart.head.novelty.rejected) == (0.25, 0.03)
    again = merged(apart.backbone, apart.head, preprocessing_inside=inside)
    (twice,) = session(again).run([DISTANCE], given)
    np.testing.assert_allclose(twice, expected, rtol=1e-4, atol=1e-5)


def test_tensors_of_the_same_names_do_not_collide(tmp_path: Path) -> None:
    made = tiny(size=SIZE)
    names = ["images", "features", "probabilities", "head/logits", "pixels/float", "head/weights"]
    names = ["unknown_distance", "unknown/axes", *names]
    for node, name in zip(made.model.graph.node, names, strict=False):
        old = node.output[0]
        for other in made.model.graph.node:
            other.input[:] = [name if n == old else n for n in other.input]
        node.output[0] = name
    backbone = Backbone.open(made.save(tmp_path / "net.onnx")).seeing(
        Preprocessing(size=SIZE, resize=SIZE)
    )
    linear = LinearHead.initial(backbone.dimension, CLASSES, 0)
    linear = replace(linear, novelty=telling(backbone.dimension))
    expected = linear.predict_proba(run(backbone.frozen(3), fed(backbone.preprocessing)))
    for inside in (False, True):
        model = merged(backbone, linear, preprocessing_inside=inside)
        found = run(model, PIXELS if inside else fed(backbone.preprocessing))
        np.testing.assert_allclose(found, expected, atol=1e-5)


DAMAGE = {
    FORMAT_KEY: ("", "edgetransfer-export-9"),
    LABELS_KEY: ("", "[", "{}", "[1, 2]", '["one"]', "[" * 5000),
    PREPROCESSING_KEY: ("", "{}", "[]", '{"inside": true, "size": 16}', '{"inside": 1, "mean": 0}'),
    UNKNOWN_KEY: ("much", "nan", "-1", "2"),
    DISTANCE_KEY: ("", "{}", "[]", '{"threshold": 1}', '{"threshold": "x", "rejected": 0}', "null"),
}


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in DAMAGE.items() for value in values]
)
def test_a_damaged_file_is_refused_by_name(key: str, value: str, tmp_path: Path) -> None:
    backbone = backbone_of(tmp_path, Preprocessing(size=SIZE, resize=SIZE))
    linear = LinearHead.initial(backbone.dimension, CLASSES, 0)
    linear = replace(linear, novelty=telling(backbone.dimension))
    model = merged(backbone, linear, preprocessing_inside=True, unknown_below=0.5)
    for entry in model.metadata_props:
        if entry.key == key:
            entry.value = value
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(BackboneError, match=r"m\.onnx"):
        read_merged(path)


def test_a_backbone_is_no_export(tmp_path: Path) -> None:
    path = tiny(size=SIZE).save(tmp_path / "net.onnx")
    with pytest.raises(BackboneError, match=r"no classifier that `edgetransfer export` wrote"):
        read_merged(path)


def test_metadata_is_plain_json(tmp_path: Path) -> None:
    """What a reader in another language sees."""
    pre = Preprocessing(size=SIZE, resize=20)
    backbone = backbone_of(tmp_path, pre)
    model = merged(backbone, LinearHead.initial(backbone.dimension, CLASSES, 0))
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(said[LABELS_KEY]) == list(CLASSES)
    values = json.loads(said[PREPROCESSING_KEY])
    assert values["size"] == SIZE
    assert values["resize"] == 20
    assert values["inside"] is False
    assert UNKNOWN_KEY not in said
    assert check_tensor(model, "features").tensor == "features"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "inside"),
    [(name, bool(i % 2)) for i, name in enumerate(sorted(set(LIGHT_DIMENSIONS) - set(LIGHT_SLOW)))],
)
def test_a_published_graph_merges(
    name: str, inside: bool, light: Callable[..., Path], tmp_path: Path
) -> None:
    backbone = Backbone.open(light(name, 0.5))
    linear = LinearHead.initial(backbone.dimension, CLASSES, 0)
    size = backbone.preprocessing.size
    pixels = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
    images = np.empty((2, 3, size, size), np.float32)
    for picture, out in zip(pixels, images, strict=True):
        normalise(Image.fromarray(picture), backbone.preprocessing, out)
    expected = linear.predict_proba(run(backbone.frozen(2), images))
    given = pixels if inside else images
    single = merged(backbone, linear, preprocessing_inside=inside, open_batch=False)
    found = np.concatenate([run(single, picture[None]) for picture in given])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    path = tmp_path / "merged.onnx"
    path.write_bytes(single.SerializeToString())
    assert zeros(read_merged(path).backbone) == zeros(backbone) > 0
