"""Embedded colour profiles: another colour space is converted to sRGB, sRGB left alone."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from edgetransfer.images import decode_image, profiles
from edgetransfer.images.profiles import to_srgb
from tests.images_made import encode, smooth_pixels

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# Columns: red, green and blue in XYZ of D50 (the ICC's published matrices).
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
SRGB_COLOURS = (
    *((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)),
)


def profile_of(
    space: bytes, curves: dict[bytes, float], colours: dict[bytes, tuple[float, ...]]
) -> bytes:
    """A small ICC profile (version 2) of gammas and a matrix, written by hand."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    white = b"XYZ \0\0\0\0" + b"".join(map(fixed, (0.9642, 1.0, 0.8249)))
    parts = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + bytes(78),
        b"wtpt": white,
        b"cprt": b"text\0\0\0\0x\0\0\0",
    }
    for name, gamma in curves.items():
        parts[name] = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    for name, xyz in colours.items():
        parts[name] = b"XYZ \0\0\0\0" + b"".join(map(fixed, xyz))
    table, body = struct.pack(">I", len(parts)), b""
    start = 128 + 4 + 12 * len(parts)
    for name, part in parts.items():
        table += name + struct.pack(">II", start + len(body), len(part))
        body += part + bytes(-len(part) % 4)
    size = start + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02100000, b"mntr", space, b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + b"".join(map(fixed, (0.9642, 1.0, 0.8249)))
    return head.ljust(128, b"\0") + table + body


def rgb_profile(gamma: float, colours: tuple[tuple[float, ...], ...]) -> bytes:
    names = (b"r", b"g", b"b")
    return profile_of(
        b"RGB ",
        {name + b"TRC": gamma for name in names},
        {name + b"XYZ": xyz for name, xyz in zip(names, colours, strict=True)},
    )


ADOBE_RGB = rgb_profile(2.19921875, ADOBE)


def srgb_of(linear: np.ndarray) -> np.ndarray:
    linear = np.clip(linear, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def expected_of_adobe(pixels: np.ndarray) -> np.ndarray:
    linear = (pixels / 255.0) ** 2.19921875 @ np.array(ADOBE)
    return srgb_of(linear @ np.linalg.inv(np.array(SRGB_COLOURS)))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_a_wider_colour_space_is_converted(kind: str) -> None:
    pixels = smooth_pixels(40, 30)
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 97, "subsampling": 0}}.get(kind, {})
    as_stored = decode_image(encode(pixels, kind, **options)).astype(float)
    decoded = decode_image(encode(pixels, kind, icc_profile=ADOBE_RGB, **options))
    away = np.abs(decoded - expected_of_adobe(as_stored))
    assert away.mean() < 0.6
    assert away.max() <= 4
    assert np.abs(decoded - as_stored).max() > 20  # it is no small thing


def test_transparency_stays_where_it_is() -> None:
    pixels = np.dstack([smooth_pixels(40, 30), np.full((30, 40), 128, np.uint8)])
    pixels[:9, :, 3], pixels[9:18, :, 3] = 0, 255
    decoded = decode_image(encode(pixels, "PNG", icc_profile=ADOBE_RGB))
    alpha = pixels[..., 3:] / 255
    expected = expected_of_adobe(pixels[..., :3]) * alpha + 255 * (1 - alpha)
    assert np.abs(decoded - expected).max() <= 4
    assert (decoded[:9] == 255).all()


def test_grey_of_another_gamma_is_converted() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    decoded = decode_image(encode(grey, "PNG", icc_profile=profile_of(b"GRAY", {b"kTRC": 1.0}, {})))
    assert (decoded == decoded[..., :1]).all()
    assert np.abs(decoded[..., 0] - srgb_of(grey / 255.0)).max() <= 2


@pytest.mark.parametrize(
    "profile",
    [SRGB, rgb_profile(2.2, SRGB_COLOURS)[:40], b"", b"nonsense" * 40, bytes(200), SRGB[:300]],
    ids=["sRGB", "cut", "none", "nonsense", "zeros", "cut late"],
)
def test_srgb_and_what_is_no_profile_change_nothing(profile: bytes) -> None:
    image = Image.fromarray(smooth_pixels(40, 30))
    assert to_srgb(image, profile) is None
    np.testing.assert_array_equal(decode_image(encode(image, icc_profile=profile)), image)


@pytest.mark.parametrize(
    ("mode", "profile"),
    [("L", ADOBE_RGB), ("CMYK", ADOBE_RGB), ("RGB", profile_of(b"GRAY", {b"kTRC": 1.0}, {}))],
)
def test_a_profile_of_another_kind_of_colour_is_not_heeded(mode: str, profile: bytes) -> None:
    assert to_srgb(Image.new(mode, (4, 4)), profile) is None


def test_a_profile_is_opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    build = profiles._transform
    monkeypatch.setattr(profiles, "_transform", lambda *a: opened.append(a) or build(*a))
    monkeypatch.setattr(profiles, "_transforms", {})
    image = Image.fromarray(smooth_pixels(8, 8))
    for _ in range(5):
        assert to_srgb(image, SRGB) is None
        assert to_srgb(image, ADOBE_RGB) is not None
    assert len(opened) == 2
    for gamma in np.linspace(1, 2, profiles.KEPT + 5):
        to_srgb(image, rgb_profile(float(gamma), ADOBE))
    assert len(profiles._transforms) <= profiles.KEPT


def test_cmyk_is_converted_by_its_profile() -> None:
    # A profile whose table says: ink is grey, whatever its colour.
    lut = profile_of(b"CMYK", {}, {})
    assert to_srgb(Image.new("CMYK", (4, 4)), lut) is None  # it has no table
    data = io.BytesIO()
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(data, "JPEG", icc_profile=lut, quality=95)
    assert np.abs(decode_image(data.getvalue()).astype(int) - (255, 0, 0)).max() <= 4
