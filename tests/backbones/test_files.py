"""Files on disk: missing, broken, with weights beside them, bundled ones by name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.catalogue import bundled
from edgetransfer.errors import BackboneError
from tests.graphs_made import noise, run, tiny


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    return tiny().save(tmp_path / "whole.onnx").read_bytes()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_off_is_refused_by_name(
    share: float, whole: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(BackboneError, match=r"broken\.onnx"):
        Backbone.open(path)


@pytest.mark.parametrize("content", [b"# not a model\n", b"\x89PNG\r\n\x1a\n", bytes(1000)])
def test_a_file_that_is_not_onnx_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(content)
    with pytest.raises(BackboneError, match=r"other\.onnx"):
        Backbone.open(path)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"absent\.onnx: no such file"):
        Backbone.open(tmp_path / "absent.onnx")
    with pytest.raises(BackboneError, match="is a folder"):
        Backbone.open(tmp_path)
    assert BackboneError.exit_code == 3


def external(tmp_path: Path) -> Path:
    path = tmp_path / "external.onnx"
    onnx.save(
        tiny().model,
        str(path),
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    assert (tmp_path / "weights.bin").stat().st_size > 1000
    return path


def test_weights_in_a_file_of_their_own_are_read_and_hashed(tmp_path: Path, whole: bytes) -> None:
    path = external(tmp_path)
    before = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in tmp_path.iterdir()}
    backbone = Backbone.open(path)
    images = noise(2, 3, 16, 16)
    expected = run(Backbone.open(tmp_path / "whole.onnx").frozen(2), images)
    np.testing.assert_array_equal(run(backbone.frozen(2), images), expected)
    after = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in tmp_path.iterdir()}
    assert after == before
    both = hashlib.sha256(path.read_bytes() + (tmp_path / "weights.bin").read_bytes())
    assert backbone.sha256 == both.hexdigest()
    weights = bytearray((tmp_path / "weights.bin").read_bytes())
    weights[100] ^= 1
    (tmp_path / "weights.bin").write_bytes(weights)
    assert Backbone.open(path).sha256 != backbone.sha256


@pytest.mark.parametrize("how", ["missing", "cut off"])
def test_weights_that_are_not_there_are_named(how: str, tmp_path: Path) -> None:
    path = external(tmp_path)
    weights = tmp_path / "weights.bin"
    content = weights.read_bytes()
    weights.unlink()
    if how == "cut off":
        weights.write_bytes(content[: len(content) // 2])
    with pytest.raises(BackboneError, match=r"external\.onnx") as caught:
        Backbone.open(path)
    if how == "missing":
        assert "weights.bin" in str(caught.value)


def test_bundled_backbones_open_by_name() -> None:
    known = bundled()
    if not known:
        pytest.skip("no backbone is bundled yet")
    for name, path in known.items():
        backbone = Backbone.open(name)
        assert backbone.path.stem == path.stem == name
        assert backbone.warnings == ()
        assert backbone.card.dimension == backbone.dimension
        assert backbone.card.sparsity == pytest.approx(backbone.sparsity, abs=1e-4)
