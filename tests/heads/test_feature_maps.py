"""Feature maps: what each does to a row, and their place in a saved head."""

import json

import numpy as np
import pytest

from edgetransfer.errors import HeadError, UsageError
from edgetransfer.heads import FeatureMap, LinearHead
from edgetransfer.heads.feature_maps import MAPS


def head_with(mapping, width):
    rng = np.random.default_rng(0)
    return LinearHead(
        weights=rng.standard_normal((width, 3)).astype(np.float32),
        bias=rng.standard_normal(3).astype(np.float32),
        classes=("a", "b", "c"),
        map=mapping,
    )


@pytest.mark.parametrize("name", MAPS)
def test_each_row_is_mapped_alone_and_zeros_stay(name):
    rows = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)
    rows[2] = 0
    mapping = FeatureMap.made(name, 5, seed=1, width=7)
    whole = mapping(rows)
    assert whole.dtype == np.float32
    assert not whole[2].any()
    for i in range(6):
        np.testing.assert_allclose(mapping(rows[i : i + 1])[0], whole[i], rtol=1e-5, atol=1e-6)


def test_roots_keep_their_sign_and_lengths_are_one():
    rows = np.array([[4.0, -9.0, 0.0]], np.float32)
    assert FeatureMap.made("power", 3)(rows).tolist() == [[2.0, -3.0, 0.0]]
    for name in ("l2", "power-l2"):
        assert np.linalg.norm(FeatureMap.made(name, 3)(rows)) == pytest.approx(1, abs=1e-6)
    huge = np.full((1, 4), 3e38, np.float32)
    assert np.isfinite(FeatureMap.made("l2", 4)(huge)).all()


@pytest.mark.parametrize("name", MAPS)
def test_saved_head_predicts_the_same(name, tmp_path):
    mapping = FeatureMap.made(name, 5, seed=1, width=7)
    head = head_with(mapping, 7 if name == "relu" else 5)
    rows = np.random.default_rng(1).standard_normal((4, 5)).astype(np.float32)
    path = tmp_path / "head.safetensors"
    head.save(path, {"backbone": "abc"})
    loaded = LinearHead.load(path)
    assert loaded.map.name == name
    assert loaded.dimension == 5
    assert np.array_equal(loaded.logits(rows), head.logits(rows))


def test_heads_have_a_format_that_no_earlier_version_reads(tmp_path):
    """Those before seals would not check it, and those before maps would get it wrong."""
    from safetensors import safe_open

    path = tmp_path / "head.safetensors"
    for name in ("raw", "l2"):
        head_with(FeatureMap.made(name, 5), 5).save(path, {})
        with safe_open(str(path), framework="numpy") as file:
            assert file.metadata()["format"] == "edgetransfer-head-4"


def test_head_of_the_first_format_is_read(tmp_path):
    from safetensors.numpy import save

    path = tmp_path / "head.safetensors"
    said = {"format": "edgetransfer-head-1", "classes": json.dumps(["a", "b"]), "backbone": "x"}
    weights = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    path.write_bytes(save({"weights": weights, "bias": np.zeros(2, np.float32)}, metadata=said))
    head = LinearHead.load(path, backbone="x")
    assert head.logits(np.eye(2, dtype=np.float32)).tolist() == weights.tolist()


def test_what_does_not_go_together_is_refused(tmp_path):
    with pytest.raises(UsageError, match="feature map"):
        FeatureMap.made("cube", 3)
    with pytest.raises(HeadError, match="feature map"):
        FeatureMap(name="relu")
    with pytest.raises(HeadError, match="feature map l2"):
        head_with(FeatureMap.made("l2", 5), 5).unstandardized(np.zeros(5), np.ones(5))
