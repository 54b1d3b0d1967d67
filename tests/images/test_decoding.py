"""Image files of every kind to upright RGB."""

from __future__ import annotations

import io
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgetransfer.errors import ImageError
from edgetransfer.images import SUFFIXES, decode_image, open_upright
from tests.images_made import (
    UPRIGHT,
    encode,
    noise_pixels,
    png_header_of,
    smooth_pixels,
    turned,
)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {"lossless": True}),
    ],
)
@pytest.mark.parametrize("size", [(31, 17), (1, 1), (1, 3000), (3000, 1)])
def test_lossless_formats_keep_every_pixel(
    kind: str, options: dict[str, object], size: tuple[int, int]
) -> None:
    pixels = noise_pixels(*size)
    decoded = decode_image(encode(pixels, kind, **options))
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, pixels)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_formats_come_close(kind: str) -> None:
    pixels = smooth_pixels(320, 200)
    decoded = decode_image(encode(pixels, kind, quality=95))
    assert decoded.shape == (200, 320, 3)
    assert np.abs(decoded.astype(int) - pixels).mean() < 2


def test_a_path_is_read_like_its_bytes(tmp_path: Path) -> None:
    data = encode(noise_pixels(9, 7))
    (tmp_path / "picture.anything").write_bytes(data)
    np.testing.assert_array_equal(decode_image(tmp_path / "picture.anything"), decode_image(data))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_several_frames_the_first_is_taken(kind: str) -> None:
    frames = [Image.new("RGB", (8, 6), c) for c in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert Image.open(io.BytesIO(data)).n_frames == 3
    np.testing.assert_array_equal(
        decode_image(data), np.broadcast_to(np.uint8([255, 0, 0]), (6, 8, 3))
    )


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_grayscale_has_three_equal_channels(kind: str) -> None:
    grey = noise_pixels(12, 9, 1)
    np.testing.assert_array_equal(
        decode_image(encode(grey, kind)), np.repeat(grey[..., None], 3, axis=2)
    )


def test_a_grayscale_jpeg_has_three_equal_channels() -> None:
    grey = smooth_pixels(40, 30)[..., 0]
    decoded = decode_image(encode(grey, "JPEG", quality=95))
    assert (decoded == decoded[..., :1]).all()
    assert np.abs(decoded[..., 0].astype(int) - grey).mean() < 2


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_one_bit_pictures_are_black_and_white(kind: str) -> None:
    bits = noise_pixels(13, 9, 1) > 127
    expected = np.repeat(np.where(bits, 255, 0).astype(np.uint8)[..., None], 3, axis=2)
    np.testing.assert_array_equal(
        decode_image(encode(Image.fromarray(bits.astype(np.uint8) * 255).convert("1"), kind)),
        expected,
    )


def on_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[..., None] / 255.0
    return rgb * share + 255 * (1 - share)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})],
)
def test_transparency_shows_white(kind: str, options: dict[str, object]) -> None:
    pixels = noise_pixels(20, 15, 4)
    decoded = decode_image(encode(Image.fromarray(pixels), kind, **options))
    expected = on_white(pixels[..., :3], pixels[..., 3])
    assert np.abs(decoded - expected).max() <= 1


def test_grey_with_transparency_shows_white() -> None:
    pixels = noise_pixels(20, 15, 2)
    decoded = decode_image(encode(_la(pixels)))
    grey = np.repeat(pixels[..., :1], 3, axis=2)
    assert np.abs(decoded - on_white(grey, pixels[..., 1])).max() <= 1


def _la(pixels: np.ndarray) -> Image.Image:
    bands = [np.ascontiguousarray(pixels[..., i]) for i in range(2)]
    return Image.merge("LA", [Image.fromarray(band) for band in bands])


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_palette_with_a_transparent_colour_shows_white_there(kind: str) -> None:
    indices = noise_pixels(16, 11, 1) % 4
    image = Image.fromarray(indices)
    image.putpalette([10, 20, 30, 200, 0, 0, 0, 200, 0, 0, 0, 200])
    table = np.uint8([[10, 20, 30], [200, 0, 0], [0, 200, 0], [255, 255, 255]])
    data = encode(image, kind, transparency=3)
    np.testing.assert_array_equal(decode_image(data), table[indices])


def test_a_palette_with_graded_transparency_is_blended() -> None:
    indices = noise_pixels(16, 11, 1) % 4
    image = Image.fromarray(indices)
    image.putpalette([10, 20, 30, 200, 0, 0, 0, 200, 0, 0, 0, 200])
    table = np.array([[10, 20, 30], [200, 0, 0], [0, 200, 0], [0, 0, 200]])
    alpha = np.array([255, 128, 64, 0])
    decoded = decode_image(encode(image, transparency=bytes(alpha.tolist())))
    assert np.abs(decoded - on_white(table[indices], alpha[indices])).max() <= 1


def test_a_transparent_colour_of_an_rgb_png_shows_white() -> None:
    pixels = noise_pixels(6, 5)
    pixels[2, 3] = (1, 2, 3)
    expected = pixels.copy()
    expected[2, 3] = 255
    data = encode(Image.fromarray(pixels), transparency=(1, 2, 3))
    np.testing.assert_array_equal(decode_image(data), expected)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_is_converted(kind: str) -> None:
    inks = {
        (0, 0, 0, 0): (255, 255, 255),
        (0, 255, 255, 0): (255, 0, 0),
        (255, 0, 255, 0): (0, 255, 0),
        (255, 255, 0, 0): (0, 0, 255),
        (0, 0, 0, 255): (0, 0, 0),
    }
    for ink, expected in inks.items():
        options = {"quality": 95} if kind == "JPEG" else {}
        decoded = decode_image(encode(Image.new("CMYK", (16, 16), ink), kind, **options))
        assert np.abs(decoded.astype(int) - expected).max() <= 4, ink


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_become_eight(kind: str) -> None:
    wide = np.random.default_rng(0).integers(0, 65536, (10, 14)).astype(np.uint16)
    wide[0, :3] = (0, 65535, 257)
    decoded = decode_image(encode(wide, kind))
    assert (decoded == decoded[..., :1]).all()
    np.testing.assert_array_equal(decoded[..., 0], np.round(wide / 257))


def test_a_dark_sixteen_bit_picture_stays_dark() -> None:
    # Its values would fit 8 bits, but 255 of 4,095 is nearly black.
    decoded = decode_image(encode(np.full((4, 4), 255, np.uint16)))
    assert decoded.max() == 16


def test_a_float_tiff_of_0_to_1_fills_the_range() -> None:
    grey = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    np.testing.assert_array_equal(
        decode_image(encode(grey, "TIFF"))[..., 0], np.arange(256).reshape(16, 16)
    )


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_exif_orientation_is_turned_upright(orientation: int, kind: str) -> None:
    stored = smooth_pixels(24, 10)
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95}}.get(kind, {})
    as_stored = decode_image(encode(stored, kind, **options))
    decoded = decode_image(turned(stored, orientation, kind, **options))
    np.testing.assert_array_equal(decoded, UPRIGHT[orientation](as_stored))


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "I;16"])
def test_other_modes_are_turned_too(orientation: int, mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray((np.arange(60).reshape(6, 10) * 1000).astype(np.uint16))
    else:
        image = Image.fromarray(smooth_pixels(10, 6)).convert(mode)
    straight = decode_image(encode(image))
    np.testing.assert_array_equal(
        decode_image(turned(image, orientation, "PNG")), UPRIGHT[orientation](straight)
    )


def test_an_orientation_that_does_not_exist_is_none() -> None:
    pixels = noise_pixels(8, 5)
    np.testing.assert_array_equal(decode_image(turned(pixels, 9, "PNG")), pixels)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7])
def test_a_file_that_is_cut_off_is_an_image_error(kind: str, share: float) -> None:
    data = encode(noise_pixels(64, 64), kind)
    with pytest.raises(ImageError) as caught:
        decode_image(data[: int(len(data) * share)])
    assert str(caught.value).strip()


@pytest.mark.parametrize("content", [b"", b"hello, I am no picture\n" * 20, bytes(5000)])
def test_what_is_no_image_is_an_image_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(content)
    for source in (content, tmp_path / "photo.jpg"):
        with pytest.raises(ImageError, match="not an image"):
            decode_image(source)


def test_a_missing_file_is_an_image_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such file"):
        decode_image(tmp_path / "absent.jpg")


def test_other_formats_that_pillow_knows_are_not_taken() -> None:
    # PPM, ICO, EPS (which starts a PostScript interpreter) are none of the promised ones.
    for kind in ("PPM", "ICO", "EPS"):
        with pytest.raises(ImageError):
            decode_image(encode(noise_pixels(16, 16), kind))


def test_a_decompression_bomb_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(ImageError, match="megapixels"):
        decode_image(png_header_of(20_000, 20_000))


def test_the_endings_are_in_lower_case_and_begin_with_a_dot() -> None:
    assert {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"} <= SUFFIXES
    assert all(s.startswith(".") and s == s.lower() for s in SUFFIXES)


@pytest.mark.parametrize(
    ("factor", "scale"), [(1, 1), (1.9, 1), (2, 2), (3.9, 2), (4, 4), (7, 4), (8, 8), (50, 8)]
)
@pytest.mark.parametrize("progressive", [False, True])
def test_a_large_jpeg_is_decoded_small(factor: float, scale: int, progressive: bool) -> None:
    pixels = smooth_pixels(640, 480)
    data = encode(pixels, "JPEG", quality=95, progressive=progressive)
    asked = []

    def shrink(width: int, height: int) -> float:
        asked.append((width, height))
        return factor

    small = open_upright(data, shrink)
    assert asked == [(640, 480)]
    assert small.size == (640 // scale, 480 // scale)
    cells = pixels.reshape(480 // scale, scale, 640 // scale, scale, 3).mean(axis=(1, 3))
    assert np.abs(np.asarray(small) - cells).mean() < 1.5


def test_shrinking_asks_with_the_upright_size_and_never_touches_a_png() -> None:
    pixels = smooth_pixels(96, 64)
    asked = []

    def shrink(width: int, height: int) -> float:
        asked.append((width, height))
        return 2.0

    assert open_upright(turned(pixels, 6, "JPEG"), shrink).size == (32, 48)
    assert open_upright(encode(pixels, "PNG"), shrink).size == (96, 64)
    assert asked == [(64, 96), (96, 64)]


def test_odd_sizes_are_never_decoded_below_the_factor() -> None:
    for width in (641, 647, 333):
        small = open_upright(encode(smooth_pixels(width, 301), "JPEG"), lambda _w, _h: 4.0)
        assert small.width >= width / 4
        assert small.height >= 301 / 4


def test_decoding_in_several_threads_leaves_the_warning_filters_alone() -> None:
    # Two decodings that overlap, the first to begin being the first to end.
    data = encode(noise_pixels(4, 4))
    second_inside, first_done = threading.Event(), threading.Event()

    def first() -> None:
        def wait(_width: int, _height: int) -> float:
            second.start()
            second_inside.wait(60)
            return 1.0

        open_upright(data, wait)
        first_done.set()

    def second_one() -> None:
        def wait(_width: int, _height: int) -> float:
            second_inside.set()
            first_done.wait(60)
            return 1.0

        open_upright(data, wait)

    second = threading.Thread(target=second_one)
    before = list(warnings.filters)
    with warnings.catch_warnings():  # restores what the code under test may not
        one = threading.Thread(target=first)
        one.start()
        one.join(60)
        second.join(60)
        after = list(warnings.filters)
    assert first_done.is_set()
    assert after == before
