"""The head: its arithmetic, and its file."""

import json

import numpy as np
import pytest

from edgetransfer.errors import HeadError
from edgetransfer.heads import LinearHead


@pytest.fixture
def head():
    rng = np.random.default_rng(0)
    return LinearHead(
        weights=rng.normal(size=(6, 3)).astype(np.float32),
        bias=rng.normal(size=3).astype(np.float32),
        classes=("ant", "bee", "Käfer"),
    )


def test_probabilities_are_the_softmax_of_the_logits(head):
    features = np.random.default_rng(1).normal(size=(10, 6)).astype(np.float32)
    logits = features.astype(np.float64) @ head.weights + head.bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(head.predict_proba(features), expected, rtol=1e-5)
    assert np.array_equal(head.predict(features), logits.argmax(axis=1))


def test_unstandardized_head_equals_the_one_on_scaled_features(head):
    rng = np.random.default_rng(2)
    features = rng.normal(3, 2, size=(20, 6)).astype(np.float32)
    mean, std = features.mean(axis=0), features.std(axis=0)
    np.testing.assert_allclose(
        head.unstandardized(mean, std).logits(features),
        head.logits((features - mean) / std),
        rtol=1e-4,
        atol=1e-4,
    )


def test_saved_head_comes_back(head, tmp_path):
    path = tmp_path / "head.safetensors"
    head.save(path, {"backbone": "abc", "note": "x"})
    loaded = LinearHead.load(path, backbone="abc")
    assert np.array_equal(loaded.weights, head.weights)
    assert np.array_equal(loaded.bias, head.bias)
    assert loaded.classes == head.classes
    assert loaded.metadata["note"] == "x"
    assert [p.name for p in tmp_path.iterdir()] == ["head.safetensors"]


def test_another_backbone_is_refused(head, tmp_path):
    path = tmp_path / "head.safetensors"
    head.save(path, {"backbone": "abc"})
    with pytest.raises(HeadError, match="trained on backbone abc"):
        LinearHead.load(path, backbone="xyz")


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "foreign", "unnamed"])
def test_broken_files_are_named(head, tmp_path, damage):
    from safetensors.numpy import save

    path = tmp_path / "head.safetensors"
    head.save(path, {"backbone": "abc"})
    if damage == "missing":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-5])
    elif damage == "foreign":
        path.write_bytes(save({"weights": head.weights, "bias": head.bias}))
    else:
        path.write_bytes(
            save(
                {"weights": head.weights, "bias": head.bias},
                metadata={"format": "edgetransfer-head-1", "classes": json.dumps(["one"])},
            )
        )
    with pytest.raises(HeadError) as raised:
        LinearHead.load(path)
    assert str(path) in str(raised.value)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(HeadError):
        LinearHead(weights=np.zeros((3, 2), "f4"), bias=np.zeros(3, "f4"), classes=("a", "b"))
    with pytest.raises(HeadError):
        LinearHead(weights=np.zeros((3, 2), "f4"), bias=np.zeros(2, "f4"), classes=("a",))


def test_flipped_bits_are_found(head, tmp_path):
    path = tmp_path / "head.safetensors"
    head.save(path, {"backbone": "abc"})
    content = path.read_bytes()
    for bit in range(0, 8 * len(content), 5):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(HeadError, match="head"):
            LinearHead.load(path)


def test_a_head_of_an_earlier_version_is_read(head, tmp_path):
    from safetensors.numpy import save

    path = tmp_path / "head.safetensors"
    classes = json.dumps(head.classes)
    path.write_bytes(
        save(
            {"weights": head.weights, "bias": head.bias},
            metadata={"format": "edgetransfer-head-1", "classes": classes, "backbone": "abc"},
        )
    )
    loaded = LinearHead.load(path, backbone="abc")
    assert loaded.classes == head.classes
    assert np.array_equal(loaded.weights, head.weights)


@pytest.mark.parametrize("name", [7, None, ["a"]])
def test_a_class_whose_name_is_no_text_is_refused(head, tmp_path, name):
    from edgetransfer.sealing import sealed

    path = tmp_path / "head.safetensors"
    names = json.dumps([name, *head.classes[1:]])
    arrays = {"weights": head.weights, "bias": head.bias}
    path.write_bytes(sealed(arrays, {"format": "edgetransfer-head-4", "classes": names}))
    with pytest.raises(HeadError, match="damaged"):
        LinearHead.load(path)
