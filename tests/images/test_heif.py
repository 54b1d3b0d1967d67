"""HEIC: decoded as it was encoded, turned, bounded, and named where it cannot be."""

from __future__ import annotations

import contextlib
import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgetransfer.errors import ImageError
from edgetransfer.images import decode_image, heif, limits, open_upright
from tests.images_made import smooth_pixels

pillow_heif = pytest.importorskip("pillow_heif")

ORIENTATION = 0x0112


def heic(pixels: np.ndarray, **options: Any) -> bytes:
    assert heif.can_decode()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "HEIF", quality=95, chroma=444, **options)
    return file.getvalue()


@pytest.mark.parametrize("shape", [(64, 80, 3), (65, 81, 3), (64, 80), (200, 40, 3)])
def test_pixels_are_as_they_were(shape: tuple[int, ...]) -> None:
    pixels = smooth_pixels(shape[1], shape[0])
    pixels = pixels if len(shape) == 3 else pixels[..., 0]
    expected = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    found = decode_image(heic(pixels)).astype(int)
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_turned_once(orientation: int) -> None:
    """The turn may stand in EXIF, in the file's own boxes, or in both: it is one turn."""
    pixels = np.full((40, 60, 3), 20, np.uint8)
    pixels[:10, :15] = (220, 30, 30)  # a corner that says how it lies
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    jpeg = io.BytesIO()
    Image.fromarray(pixels).save(jpeg, "JPEG", quality=95, exif=exif)
    upright = decode_image(jpeg.getvalue())
    found = decode_image(heic(pixels, exif=exif.tobytes()))
    assert found.shape == upright.shape
    assert np.abs(found.astype(int) - upright.astype(int)).mean() < 6


def test_transparency_lies_on_white() -> None:
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[:16] = (200, 20, 20, 255)
    found = decode_image(heic(pixels))
    assert np.abs(found[:12].astype(int) - (200, 20, 20)).max() < 12
    assert found[20:].min() > 240


def test_a_claim_of_another_size_is_refused() -> None:
    """A header of 64 pixels before a picture of a million: libheif's own limit meets it."""
    data = bytearray(heic(smooth_pixels(1024, 1024)))
    place = data.index(b"ispe") + 8
    data[place : place + 8] = struct.pack(">II", 64, 64)
    with pytest.raises(ImageError):
        decode_image(bytes(data))


def test_too_many_pixels_are_refused_by_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    data = heic(smooth_pixels(256, 256))
    monkeypatch.setattr(limits, "PHOTO_BYTES", 256 * 256 * 12)
    with pytest.raises(ImageError, match="scale it down"):
        decode_image(data)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_what_is_cut_off_is_no_photo(part: float) -> None:
    data = heic(smooth_pixels(128, 128))
    with pytest.raises(ImageError):
        open_upright(data[: int(part * len(data))])


def test_nothing_breaks_it() -> None:
    """Any byte changed: a picture or an `ImageError`."""
    data = heic(smooth_pixels(48, 48))
    rng = np.random.default_rng(0)
    for _ in range(60):
        broken = bytearray(data)
        for place in rng.integers(12, len(data), rng.integers(1, 4)):
            broken[place] = rng.integers(256)
        with contextlib.suppress(ImageError):
            assert decode_image(bytes(broken)).dtype == np.uint8
