"""Training on photos that are no files: the same head, and a run that finds them again."""

from __future__ import annotations

import shutil

import pytest
from safetensors.numpy import load_file

import edgetransfer
from edgetransfer.paths import address_of
from edgetransfer.runs.run_paths import absolute_paths, relative_paths
from edgetransfer.settings.config import dump, load
from edgetransfer.settings.train import LinearTraining
from tests.photos import backbone, photos  # noqa: F401


def trained(data, out, backbone):  # noqa: F811
    settings = LinearTraining(
        data=data, out=out, backbone=str(backbone), engine="onnxruntime", solver="ridge"
    )
    report = edgetransfer.train_linear(settings)
    return report["final"], load_file(out / "head.safetensors")


def test_a_zip_trains_the_same_head_as_its_folder(photos, backbone, tmp_path):  # noqa: F811
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", photos)
    result, of_folder = trained(photos, tmp_path / "a", backbone)
    same, of_zip = trained(archive, tmp_path / "b", backbone)
    assert same == result
    assert {k: v.tobytes() for k, v in of_zip.items()} == {
        k: v.tobytes() for k, v in of_folder.items()
    }
    again = edgetransfer.evaluate(tmp_path / "b", archive)
    assert again["top1"] == result["top1"]


@pytest.mark.parametrize(
    "address",
    ["s3://bucket/a/photos.zip", "https://host:8080/a b/", "memory://x", "file:///tmp/no/such"],
)
def test_an_address_stays_one(address, tmp_path):
    """Through `Path`, `config.toml` and a run that is moved."""
    settings = LinearTraining(data=address, out=tmp_path / "run", backbone="b.onnx")
    assert address_of(settings.data) == address.rstrip("/")
    written = relative_paths(dump(settings), tmp_path / "run")
    (tmp_path / "moved").mkdir()
    back = load(LinearTraining, absolute_paths(written, tmp_path / "moved"), tmp_path)
    assert address_of(back.data) == address.rstrip("/")


@pytest.mark.parametrize("path", ["photos", "/a/b", "./s3:", "C:/photos", "a:b/c", "s3:", "S3:/x"])
def test_a_path_is_no_address(path):
    assert address_of(path) is None
