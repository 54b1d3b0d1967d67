"""How much memory a photo takes while it is decoded, told before it is.

A decoder's worst case is `PHOTO_BYTES`, whatever a file claims: a photo that would take more is
refused by its header (a JPEG is decoded at a half, a quarter or an eighth of its size instead).
Photos of more than `LARGE_BYTES` are decoded one at a time, so all decoding threads together take
at most ``PHOTO_BYTES + threads * LARGE_BYTES``, and the files themselves.
"""

from __future__ import annotations

import math
import threading

from PIL import Image

from edgetransfer.errors import ImageError

PHOTO_BYTES = 640 * 2**20
LARGE_BYTES = 160 * 2**20
SCANS = 100  # of a progressive JPEG; encoders write about ten
SCANNED = 1_500_000_000  # pixels times scans: each scan goes over the whole picture

# Bytes a pixel from the first line to the RGB picture, turning and colour conversion included.
_BYTES = {
    "1": 6,
    "L": 6,
    "P": 6,
    "LA": 17,
    "La": 17,
    "PA": 17,
    "RGB": 8,
    "RGBA": 17,
    "RGBa": 17,
    "RGBX": 12,
    "CMYK": 12,
    "YCbCr": 12,
    "LAB": 12,
    "I": 13,
    "F": 13,
}
_SIXTEEN_BIT = 10
_DECODER = {"WEBP": 16, "AVIF": 20, "HEIF": 5}  # what the decoder holds beside that
_CODED = 6  # a pixel of an AV1 frame at most: twelve bits without subsampling
_COEFFICIENTS = 6  # of a progressive JPEG without subsampling, 2 bytes each

large = threading.Lock()


def bytes_needed(image: Image.Image, *, stored: int = 0) -> int:
    """Bytes of memory that decoding an opened image takes at most.

    Parameters
    ----------
    stored
        Bytes a pixel that the decoder unpacks into beside the picture.
    """
    a_pixel = _BYTES.get(image.mode, _SIXTEEN_BIT) + stored
    if image.mode in ("1", "L", "P", "RGB") and "transparency" in image.info:
        a_pixel = _BYTES["RGBA"] + stored
    a_pixel += _DECODER.get(image.format or "", 0)
    return math.prod(image.size) * a_pixel


def jpeg_bytes_needed(image: Image.Image, power: int = 1) -> int:
    """As `bytes_needed`, of a JPEG decoded at one ``power``-th of its width and height."""
    pixels = math.prod(image.size)
    coefficients = _COEFFICIENTS * pixels if is_progressive(image) else 0
    return pixels * _BYTES[image.mode] // power**2 + coefficients


def is_progressive(image: Image.Image) -> bool:
    """Whether a JPEG holds the whole picture's coefficients before the first line is out."""
    return bool(image.info.get("progressive"))


def check(needed: int, image: Image.Image) -> None:
    """Refuse what would not fit.

    Raises
    ------
    ImageError
        If more than `PHOTO_BYTES` are needed.
    """
    if needed > PHOTO_BYTES:
        width, height = image.size
        raise ImageError(
            f"{width} x {height} pixels ({image.format}, {image.mode}) would take "
            f"{needed / 2**30:.1f} GiB of memory, and a photo may take "
            f"{PHOTO_BYTES >> 20} MiB: scale it down"
        )


def check_coded(pixels: int) -> None:
    """Refuse a file whose coded frames are larger than the picture that it claims to be.

    Raises
    ------
    ImageError
        If so many pixels take more than `PHOTO_BYTES`.
    """
    if pixels * _CODED > PHOTO_BYTES:
        raise ImageError(
            f"its frames hold {pixels / 1e6:.0f} megapixels, and would take "
            f"{pixels * _CODED / 2**30:.1f} GiB of memory: scale it down"
        )


def check_scans(data: bytes, pixels: int) -> None:
    """Refuse a progressive JPEG of a few kilobytes that takes minutes.

    Raises
    ------
    ImageError
        If it has more scans than any encoder writes for so many pixels.
    """
    scans = data.count(b"\xff\xda")
    if scans > SCANS or scans * pixels > SCANNED:
        raise ImageError(f"a progressive JPEG of {scans} scans; save it anew")
