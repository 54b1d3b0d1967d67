"""Bytes of an image file to an upright RGB picture."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from edgetransfer.errors import ImageError
from edgetransfer.images import heif, limits
from edgetransfer.images.avif_boxes import coded_pixels
from edgetransfer.images.file_kinds import is_heif, refuse_what_is_no_photo
from edgetransfer.images.mending import mended, png_pixels_damaged
from edgetransfer.images.pieces import check_pieces
from edgetransfer.images.pillow_gaps import check_bmp, heed_png_depth
from edgetransfer.images.profiles import lab_to_srgb, to_srgb
from edgetransfer.images.tiff_layout import (
    MARKS,
    TiffLayout,
    cannot_be_read,
    check_layout,
    heed_byte_order,
    is_wide,
    layout_of,
    wide_grey,
)
from edgetransfer.images.wide import grey_of_wide
from edgetransfer.types import UInt8Array

# Part of the feature cache's key: raise it whenever a file may decode to other pixels.
DECODING_VERSION = 2
LARGEST_FILE = 256 * 2**20

AVIF = features.check("avif") is True  # Pillow 11.3 and later; an older one does not know the name
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", *(("AVIF",) if AVIF else ()))
SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".bmp", ".dib", ".gif"),
        *(".tif", ".tiff", ".avif", ".heic", ".heif", ".hif"),
    )
)
ORIENTATION = 0x0112  # the EXIF tag
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
Shrink = Callable[[int, int], float]
Note = Callable[[str], None]
"""Told what was wrong with a file that is used all the same."""


def no_note(_text: str) -> None:
    """The `Note` of a caller that needs none."""


def open_upright(
    source: bytes | Path, shrink: Shrink | None = None, note: Note = no_note
) -> Image.Image:
    """Decode an image file to an upright RGB `PIL.Image.Image`.

    EXIF rotation is applied, an embedded colour profile converted to sRGB, transparency
    composited on white, CMYK, palettes, grayscale and wide grey values (see `wide`) converted; of
    an animation the first frame is taken, of a HEIC file its main picture. An alpha that hides the
    whole picture is not heeded.

    It takes at most `limits.PHOTO_BYTES` of memory beside the file itself.

    Parameters
    ----------
    source
        The file's bytes, or its path.
    shrink
        Told the upright width and height, says by how much the picture may be scaled down;
        a JPEG is then decoded at a half, a quarter or an eighth of its size (by the decoder's
        own DCT scaling), whichever is not below that.
    note
        Told of damage that holds no pixels.

    Raises
    ------
    ImageError
        If it cannot be decoded; the message says why.
    """
    data = source if isinstance(source, bytes) else _read(source)
    refuse_what_is_no_photo(data, avif=AVIF, heif=is_heif(data) and heif.can_decode())
    try:
        return _decoded(data, shrink)
    except ImageError:
        raise
    except MemoryError:
        raise ImageError("too large for this machine's memory") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"too many megapixels to be decoded ({error}): scale it down") from None
    except Exception as error:
        # Broken files make Pillow's format plugins raise almost anything.
        picture = _decoded_mended(data, shrink, note)
        if picture is not None:
            return picture
        raise ImageError(_reason(data, error)) from error


def decode_image(source: bytes | Path) -> UInt8Array:
    """Decode an image file to (H, W, 3) uint8 RGB, upright; see `open_upright`."""
    return np.asarray(open_upright(source), np.uint8)


def _read(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise ImageError("not a file")
        if path.stat().st_size > LARGEST_FILE:
            raise ImageError(f"larger than {LARGEST_FILE >> 20} MiB")
        return path.read_bytes()
    except FileNotFoundError:
        raise ImageError("no such file") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _reason(data: bytes, error: Exception) -> str:
    if data[:4] in MARKS and isinstance(error, UnidentifiedImageError | ValueError):
        return cannot_be_read(layout_of(data))
    if isinstance(error, UnidentifiedImageError):
        return "not an image in a known format, or cut off at its beginning"
    text = str(error) or type(error).__name__
    return text.splitlines()[0][:200]


def _decoded_mended(data: bytes, shrink: Shrink | None, note: Note) -> Image.Image | None:
    """The picture of a file whose damage holds no pixels; None if it is not one."""
    try:
        for attempt in mended(data):
            try:
                picture = _decoded(attempt.data, shrink)
            except ImageError:
                raise
            except Exception:  # as in `open_upright`; the next leaves out more
                continue
            note(attempt.note)
            return picture
    except ImageError:
        raise
    except Exception:
        return None
    return None


def _decoded(data: bytes, shrink: Shrink | None) -> Image.Image:
    check_pieces(data)
    layout = layout_of(data) if data[:4] in MARKS else None
    if layout is not None:
        check_layout(layout)
    formats = (heif.FORMAT,) if is_heif(data) else FORMATS
    with Image.open(io.BytesIO(data), formats=formats) as image:
        if image.format in ("JPEG", "MPO"):
            return _of_jpeg(image, data, shrink)
        if layout is not None:
            heed_byte_order(image)
        stored = 0 if layout is None else layout.samples * -(-max(layout.bits) // 8)
        needed = limits.bytes_needed(image, stored=stored)
        if layout is not None:
            needed += stored * layout.tile
        limits.check(needed, image)
        if image.format == "AVIF":
            limits.check_coded(coded_pixels(data))
        if image.format == "PNG" and png_pixels_damaged(data):
            raise ImageError("its pixels are damaged (checksum)")
        if image.format == "BMP":
            check_bmp(data, image.width * image.height)
        with limits.large if needed > limits.LARGE_BYTES else nullcontext():
            image.load()
            # Pillow turns TIFF files itself.
            orientation = 1 if image.format == "TIFF" else _orientation(image)
            if shrink is not None:
                shrink(*(image.size[::-1] if orientation in (5, 6, 7, 8) else image.size))
            whole = heed_png_depth(image, data) if image.format == "PNG" else image
            return _to_rgb(whole, orientation, layout)


def _of_jpeg(image: Image.Image, data: bytes, shrink: Shrink | None) -> Image.Image:
    """A JPEG, scaled down by its decoder as far as the caller or the limit wants."""
    orientation = _orientation(image)
    factor = 1.0
    if shrink is not None:
        turned = orientation in (5, 6, 7, 8)
        factor = shrink(*(image.size[::-1] if turned else image.size))
    if limits.is_progressive(image):
        limits.check_scans(data, image.width * image.height)
    power = next(p for p in (8, 4, 2, 1) if factor >= p or p == 1)
    while power < 8 and limits.jpeg_bytes_needed(image, power) > limits.PHOTO_BYTES:
        power *= 2
    needed = limits.jpeg_bytes_needed(image, power)
    limits.check(needed, image)
    if power > 1:
        image.draft(None, (image.width // power, image.height // power))
    with limits.large if needed > limits.LARGE_BYTES else nullcontext():
        image.load()
        return _to_rgb(image, orientation, None)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1 if there is none that can be read."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # whatever a damaged EXIF block makes of it
        return 1
    return value if isinstance(value, int) else 1


def _to_rgb(image: Image.Image, orientation: int, layout: TiffLayout | None) -> Image.Image:
    profile = image.info.get("icc_profile")
    turn = TURNS.get(orientation)
    upright = image if turn is None else image.transpose(turn)
    if layout is not None and is_wide(upright, layout):
        upright = wide_grey(upright, layout)
    elif upright.mode[:1] in "IF":
        upright = _wide_with_transparency(upright)
    if upright.mode == "LAB":
        return lab_to_srgb(upright)
    if upright.mode in ("RGB", "L", "CMYK") and "transparency" not in upright.info:
        converted = to_srgb(upright, profile)
        if converted is None:
            return upright if upright.mode == "RGB" else upright.convert("RGB")
        return converted
    if upright.has_transparency_data:
        return _on_white(upright, profile)
    flat = upright.convert("RGB")
    return to_srgb(flat, profile) or flat


def _wide_with_transparency(image: Image.Image) -> Image.Image:
    """16-bit grey of a PNG; a value that is transparent becomes an alpha of 0."""
    values = np.asarray(image)
    grey = grey_of_wide(values, least_white=4095)
    clear = image.info.get("transparency")
    if not isinstance(clear, int):
        return grey
    alpha = Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8))
    return Image.merge("LA", (grey, alpha))


def _on_white(image: Image.Image, profile: bytes | None) -> Image.Image:
    """A picture with transparency, on white; or without it, where it would hide everything."""
    layer = image if image.mode == "RGBA" else image.convert("RGBA")
    alpha = layer.getchannel("A")
    flat = layer.convert("RGB")
    flat = to_srgb(flat, profile) or flat
    highest = alpha.getextrema()[1]
    assert isinstance(highest, int | float)
    if highest <= 1:  # 1: written by programs that take alpha for yes or no
        return flat
    white = Image.new("RGB", flat.size, (255, 255, 255))
    white.paste(flat, mask=alpha)
    return white
