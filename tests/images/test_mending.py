"""Damage that holds no pixels never costs a photo; damage that does is never shown as a picture."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from edgetransfer.errors import ImageError
from edgetransfer.images import decode_image, open_upright
from edgetransfer.images.mending import NO_END, PASSED_OVER
from tests.images_made import encode, noise_pixels, smooth_pixels, turned
from tests.png_made import chunk, png
from tests.tiff_made import Layout, tiff

PIXELS = smooth_pixels(40, 30)
STORED = PIXELS.astype(np.int64)


def used(data: bytes) -> tuple[np.ndarray, list[str]]:
    """What a file decodes to, and what is said of it."""
    notes: list[str] = []
    return np.asarray(open_upright(data, note=notes.append)), notes


def bad_checksum(whole: bytes) -> bytes:
    return whole[:-1] + bytes([whole[-1] ^ 1])


PNG_CHUNKS: dict[str, bytes] = {
    "text checksum": bad_checksum(chunk(b"tEXt", b"Title\0x")),
    "text without a keyword": chunk(b"tEXt", b"\0\0\0"),
    "compressed text that is cut": chunk(b"zTXt", b"Title\0\0" + zlib.compress(bytes(99))[:7]),
    "compressed text by an unknown method": chunk(b"zTXt", b"Title\0\x09abc"),
    "compressed text of megabytes": chunk(b"zTXt", b"T\0\0" + zlib.compress(bytes(1 << 24))),
    "international text": chunk(b"iTXt", b"Title\0\1\1\0\0\xff\xfe"),
    "empty international text": chunk(b"iTXt", b""),
    "raw profile": chunk(b"tEXt", b"Raw profile type exif\0\nexif\n  zz\nnot hex"),
    "exif of nonsense": chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff"),
    "exif checksum": bad_checksum(chunk(b"eXIf", b"II*\0\x08\0\0\0\0\0")),
    "short exif": chunk(b"eXIf", b"M"),
    "a profile that is cut": chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(500))[:9]),
    "a profile of nonsense": chunk(
        b"iCCP", b"name\0\0" + zlib.compress(noise_pixels(9, 9).tobytes())
    ),
    "a short gamma": chunk(b"gAMA", b"\0"),
    "short chromaticities": chunk(b"cHRM", b"\0\0\0"),
    "a short density": chunk(b"pHYs", b"\0\0\0"),
    "an empty intent": chunk(b"sRGB", b""),
    "a time of nonsense": chunk(b"tIME", b"\xff"),
    "an unknown chunk's checksum": bad_checksum(chunk(b"abCd", b"x" * 30)),
    "a short animation": chunk(b"acTL", b"\0"),
}


@pytest.mark.parametrize("name", PNG_CHUNKS)
@pytest.mark.parametrize("place", ["before", "after"])
def test_png_chunks_without_pixels(name: str, place: str) -> None:
    decoded, notes = used(png(STORED, 2, 8, filters=4, **{place: PNG_CHUNKS[name]}))
    np.testing.assert_array_equal(decoded, PIXELS)
    assert set(notes) <= {PASSED_OVER}


@pytest.mark.parametrize("interlaced", [False, True])
def test_a_png_that_ends_early_gives_all_pixels_or_none(interlaced: bool) -> None:
    data = png(STORED, 2, 8, interlaced=interlaced)
    whole = len(data) - 12 - 4 - 4  # before the end's chunk, a checksum, the stream's own
    for size in range(len(data) - 40, len(data)):
        try:
            decoded, notes = used(data[:size])
        except ImageError:
            assert size < whole
            continue
        np.testing.assert_array_equal(decoded, PIXELS)
        assert notes in ([], [NO_END])


def segment(marker: int, content: bytes, length: int | None = None) -> bytes:
    said = len(content) + 2 if length is None else length
    return bytes([0xFF, marker]) + struct.pack(">H", said) + content


JPEG_SEGMENTS: dict[str, bytes] = {
    "exif of nonsense": segment(0xE1, b"Exif\0\0MM\0*\xff\xff\xff\xff"),
    "short exif": segment(0xE1, b"Exif\0\0M"),
    "exif that points at itself": segment(
        0xE1, b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\4\0\1\0\0\0\x08\0\0\0" + bytes(4)
    ),
    "a short JFIF": segment(0xE0, b"JFIF\0"),
    "a short Adobe": segment(0xEE, b"Adobe\0d"),
    "Photoshop's resources": segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04" + b"\xff" * 6),
    "a short profile": segment(0xE2, b"ICC_PROFILE\0\1"),
    "a profile without its second part": segment(0xE2, b"ICC_PROFILE\0\1\2" + bytes(200)),
    "a profile of nonsense": segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(range(200))),
    "a multi-picture index": segment(0xE2, b"MPF\0II*\0\x08\0\0\0\xff\xff"),
    "an empty multi-picture index": segment(0xE2, b"MPF\0"),
    "an XMP of nonsense": segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:\xff"),
    "FlashPix": segment(0xE2, b"FPXR\0\0\0"),
    "a comment that is no text": segment(0xFE, b"\xff\xfe\0\xff"),
    "a length beyond the file": segment(0xE1, b"Exif\0\0II*\0", 60_000),
    "a length that ends in the middle": segment(0xEC, b"Ducky\0\1", 4),
}  # fmt: skip


@pytest.mark.parametrize("name", JPEG_SEGMENTS)
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_segments_without_pixels(name: str, progressive: bool) -> None:
    clean = encode(PIXELS, "JPEG", quality=95, progressive=progressive)
    decoded, notes = used(clean[:2] + JPEG_SEGMENTS[name] + clean[2:])
    np.testing.assert_array_equal(decoded, decode_image(clean))
    assert set(notes) <= {PASSED_OVER}


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"subsampling": 0}]
)
def test_a_jpeg_that_ends_early_gives_all_pixels_or_none(options: dict[str, object]) -> None:
    data = encode(noise_pixels(48, 32), "JPEG", quality=80, **options)
    expected = decode_image(data)
    decoded, notes = used(data[:-2])
    np.testing.assert_array_equal(decoded, expected)
    assert notes == [NO_END]
    for size in range(len(data) - 40, len(data)):
        try:
            decoded, notes = used(data[:size])
        except ImageError:
            assert size < len(data) - 2
            continue
        np.testing.assert_array_equal(decoded, expected)


def test_a_progressive_jpeg_without_its_last_scans_is_refused() -> None:
    # Every pixel would be there, and coarse.
    data = encode(noise_pixels(48, 32), "JPEG", quality=90, progressive=True)
    scans = [i for i in range(len(data)) if data[i : i + 2] == b"\xff\xda"]
    assert len(scans) > 4
    for scan in scans[1:]:
        tables = data.rfind(b"\xff\xc4", 0, scan)
        for cut in {scan, tables if tables > scan - 400 else scan}:
            with pytest.raises(ImageError):
                decode_image(data[:cut])


@pytest.mark.parametrize("tail", [b"\0" * 50, b"more bytes", b"\xff\xd9", b"\xff\xd8\xff\xe0"])
def test_what_stands_behind_a_jpeg_is_nothing(tail: bytes) -> None:
    data = encode(PIXELS, "JPEG", quality=95)
    np.testing.assert_array_equal(decode_image(data + tail), decode_image(data))


WEBP_CHUNKS: dict[str, Callable[[bytes], bytes]] = {
    "a length beyond the file": lambda data: data[:4] + struct.pack("<I", 1 << 20) + data[8:],
    "EXIF that is cut": lambda data: data[:-9],
    "EXIF of nonsense": lambda data: data.replace(b"MM\0*", b"\xff\xff\xff\xff"),
    "EXIF with a length beyond the file": lambda data: data.replace(
        b"EXIF" + data[data.index(b"EXIF") + 4 :][:4], b"EXIF\xff\xff\xff\x7f"
    ),
}


@pytest.mark.parametrize("name", WEBP_CHUNKS)
def test_webp_chunks_without_pixels(name: str) -> None:
    data = turned(PIXELS, 1, "WEBP", lossless=True)
    decoded, _ = used(WEBP_CHUNKS[name](data))
    np.testing.assert_array_equal(decoded, PIXELS)


TIFF_TAGS: dict[str, tuple[int, tuple[int, list[int]]]] = {
    "a profile of nonsense": (34675, (7, list(range(200)))),
    "EXIF at no place": (34665, (4, [1 << 30])),
    "EXIF at itself": (34665, (4, [8])),
    "GPS at no place": (34853, (4, [1 << 30])),
    "resources of nonsense": (34377, (7, [255] * 30)),
    "a description that is no text": (270, (2, [255] * 30)),
    "a density of nothing": (282, (5, [0, 0])),
    "an XMP of numbers": (700, (3, [1, 2, 3])),
    "a page of ten": (297, (3, [9, 10])),
}


@pytest.mark.parametrize("name", TIFF_TAGS)
@pytest.mark.parametrize("compression", ["none", "lzw"])
def test_tiff_tags_without_pixels(name: str, compression: str) -> None:
    tag, value = TIFF_TAGS[name]
    layout = Layout(photometric=2, compression=compression, more={tag: value})
    decoded, _ = used(tiff(STORED, layout))
    np.testing.assert_array_equal(decoded, PIXELS)


@pytest.mark.parametrize("tag", [270, 305, 34665, 34675, 700])
def test_tiff_tags_whose_values_lie_outside_the_file(tag: int) -> None:
    data = bytearray(tiff(STORED, Layout(photometric=2, more={tag: (7, list(range(99)))})))
    entry = data.rindex(struct.pack("<HHI", tag, 7, 99))
    data[entry + 8 : entry + 12] = struct.pack("<I", len(data) + 1000)
    decoded, _ = used(bytes(data))
    np.testing.assert_array_equal(decoded, PIXELS)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF"])
def test_other_formats_that_end_early_give_all_pixels_or_none(kind: str) -> None:
    data = encode(Image.fromarray(PIXELS).quantize(16) if kind == "GIF" else PIXELS, kind)
    expected = decode_image(data)
    for size in range(len(data) - 30, len(data)):
        try:
            decoded = decode_image(data[:size])
        except ImageError:
            continue
        np.testing.assert_array_equal(decoded, expected)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_what_can_be_kept_of_a_damaged_file_is_kept(kind: str) -> None:
    # The orientation is whole; what is broken stands beside it.
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95}}.get(kind, {})
    data = turned(PIXELS, 6, kind, **options)
    upright = decode_image(data)
    assert upright.shape == (40, 30, 3)
    broken = {
        "PNG": lambda: data[:33] + PNG_CHUNKS["text checksum"] + data[33:],
        "JPEG": lambda: data[:-2],
        "WEBP": lambda: data[:4] + struct.pack("<I", 1 << 20) + data[8:],
    }[kind]()
    np.testing.assert_array_equal(decode_image(broken), upright)


def test_a_profile_that_is_whole_is_heeded_in_a_damaged_file() -> None:
    info = PngInfo()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, "PNG", icc_profile=profile, pnginfo=info)
    data = stream.getvalue()
    decoded, notes = used(data[:33] + PNG_CHUNKS["text checksum"] + data[33:])
    np.testing.assert_array_equal(decoded, PIXELS)
    assert notes == [PASSED_OVER]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
def test_flipped_bits_are_a_picture_or_an_image_error(kind: str) -> None:
    data = encode(PIXELS, kind)
    rng = np.random.default_rng(0)
    for _ in range(60):
        broken = bytearray(data)
        for place in rng.integers(0, min(len(data), 400), 2).tolist():
            broken[place] ^= 1 << int(rng.integers(8))
        try:
            decoded = decode_image(bytes(broken))
        except ImageError as error:
            decoded = np.zeros((1, 1, 3 if str(error).strip() else 0))
        assert decoded.shape[2] == 3
