"""One photo in every form that Python has it, and one call for its features."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgetransfer
from edgetransfer import Classifier, Prediction, train_linear
from edgetransfer.data import Sample
from edgetransfer.errors import DataError, ImageError, UsageError
from edgetransfer.features import sample_of
from edgetransfer.images import decode_image
from tests.photos import backbone, photos

__all__ = ["backbone", "photos"]

FORMS = {
    "str": str,
    "Path": Path,
    "bytes": lambda path: path.read_bytes(),
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "picture": lambda path: Image.open(path).copy(),
    "array": lambda path: np.asarray(Image.open(path)),
    "reversed array": lambda path: np.asarray(Image.open(path))[::-1][::-1],
    "upload": lambda path: io.BytesIO(path.read_bytes()),
    "sample": lambda path: Sample(id="x", source=path),
}


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "PA"])
def test_a_picture_of_any_mode_is_what_its_file_is(mode: str) -> None:
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8)).convert(
        mode if mode not in ("PA", "LA") else "RGBA"
    )
    if mode in ("PA", "LA"):
        picture = picture.convert("LA").convert(mode)
    sample = sample_of(picture)
    expected = np.asarray(picture.convert("RGB"))
    if mode in ("RGBA", "LA", "PA"):
        assert decode_image(sample.read()).shape == expected.shape
    else:
        np.testing.assert_array_equal(decode_image(sample.read()), expected)


def test_a_file_that_gives_no_bytes_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("text")
    with (
        (tmp_path / "a.jpg").open(encoding="utf-8") as file,
        pytest.raises(DataError, match="'rb'"),
    ):
        sample_of(file)  # type: ignore[arg-type]
    closed = io.BytesIO(b"x")
    closed.close()
    with pytest.raises(DataError, match="image 3: cannot be read"):
        sample_of(closed, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_once(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", exif=exif)
    expected = decode_image(file.getvalue())
    np.testing.assert_array_equal(decode_image(sample_of(Image.open(file)).read()), expected)


@pytest.mark.parametrize("form", FORMS)
def test_features_in_one_line(form: str, photos: Path, backbone: Path) -> None:
    files = sorted((photos / "test" / "red").iterdir())
    expected = edgetransfer.features(backbone, photos / "test" / "red", engine="onnxruntime")
    assert expected.shape == (5, 8)
    given = [FORMS[form](path) for path in files]
    found = edgetransfer.features(str(backbone), given, engine="onnxruntime")
    np.testing.assert_allclose(found, expected, atol=1e-6)
    one = edgetransfer.features(backbone, given[0], engine="onnxruntime")
    np.testing.assert_allclose(one, expected[:1], atol=1e-6)


def test_no_row_is_missing_without_a_word(photos: Path, backbone: Path, tmp_path: Path) -> None:
    (photos / "test" / "red" / "000.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"000\.png"):
        edgetransfer.features(backbone, photos / "test" / "red", engine="onnxruntime")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no images"):
        edgetransfer.features(backbone, tmp_path / "empty", engine="onnxruntime")
    assert edgetransfer.features(backbone, [], engine="onnxruntime").shape == (0, 8)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4, 3)),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((3, 4, 4), np.uint8),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.int64),
        3,
        None,
        [1],
    ],
    ids=str,
)
def test_what_is_no_photo_is_said(wrong: object) -> None:
    with pytest.raises(DataError, match="image 7"):
        sample_of(wrong, 7)  # type: ignore[arg-type]


def test_train_and_predict_in_a_few_lines(photos: Path, backbone: Path, tmp_path: Path) -> None:
    report = train_linear(
        backbone=backbone,
        data=str(photos),
        out=str(tmp_path / "run"),
        cache_dir=str(tmp_path / "cache"),
        engine="onnxruntime",
        l2=1e-3,
    )
    assert report["n_train"] == 60
    files = sorted((photos / "test" / "red").iterdir())
    with Classifier.load(str(tmp_path / "run"), engine="onnxruntime") as classifier:
        expected = classifier.predict(files, top=2)
        for make in FORMS.values():
            one = classifier.predict(make(files[0]), top=2)
            assert isinstance(one, Prediction)
            assert one.classes == expected[0].classes
            assert one.probabilities == pytest.approx(expected[0].probabilities, abs=1e-6)
        whole = np.stack([np.asarray(Image.open(path)) for path in files])
        assert [p.classes for p in classifier.predict(whole, top=2)] == [
            p.classes for p in expected
        ]
        assert len(repr(classifier)) < 100
    assert set(one.to_dict()) == {"id", "classes", "probabilities", "error", "unknown"}
    with pytest.raises(UsageError, match="not both"):
        train_linear(_settings(tmp_path), data="x")


def _settings(folder: Path) -> edgetransfer.LinearTraining:
    return edgetransfer.LinearTraining(backbone="x", data=folder, out=folder)
