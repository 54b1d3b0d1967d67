"""Bytes of an image file to an upright RGB picture."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from edgetransfer.errors import ImageError
from edgetransfer.types import UInt8Array

MAX_PIXELS = 178_956_970  # Pillow's own bound; decoded, that is half a gigabyte
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")  # JPEG opens MPO as well
SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".bmp", ".dib", ".gif"),
        *(".tif", ".tiff"),
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
_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N")


def open_upright(source: bytes | Path, shrink: Shrink | None = None) -> Image.Image:
    """Decode an image file to an upright RGB `PIL.Image.Image`.

    EXIF rotation is applied, transparency composited on white, CMYK, palettes, grayscale and
    16-bit converted; of an animation the first frame is taken.

    Parameters
    ----------
    source
        The file's bytes, or its path.
    shrink
        Told the upright width and height, says by how much the picture may be scaled down;
        a JPEG is then decoded at a half, a quarter or an eighth of its size (by the decoder's
        own DCT scaling), whichever is not below that.

    Raises
    ------
    ImageError
        If it cannot be decoded; the message says why.
    """
    try:
        with Image.open(
            io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS
        ) as image:
            # Pillow turns TIFF files itself.
            orientation = 1 if image.format == "TIFF" else image.getexif().get(ORIENTATION, 1)
            if shrink is not None:
                turned = orientation in (5, 6, 7, 8)
                factor = shrink(*(image.size[::-1] if turned else image.size))
                if image.format in ("JPEG", "MPO") and factor >= 2:
                    _decode_scaled(image, factor)
            return _to_rgb(image, orientation)
    except Image.DecompressionBombError:
        raise ImageError(
            f"it has more than {MAX_PIXELS // 10**6} megapixels, the most that is decoded: scale "
            "it down"
        ) from None
    except FileNotFoundError:
        raise ImageError("no such file") from None
    except UnidentifiedImageError:
        raise ImageError("not an image in a known format, or cut off at its beginning") from None
    except MemoryError:
        raise ImageError("too large for this machine's memory") from None
    except ImageError:
        raise
    except Exception as error:
        # Broken files make Pillow's format plugins raise almost anything.
        text = str(error) or type(error).__name__
        raise ImageError(text.splitlines()[0][:200]) from error


def decode_image(source: bytes | Path) -> UInt8Array:
    """Decode an image file to (H, W, 3) uint8 RGB, upright; see `open_upright`."""
    return np.asarray(open_upright(source), np.uint8)


def _decode_scaled(image: Image.Image, factor: float) -> None:
    """Have a JPEG decoded at the smallest of its scales that ``factor`` allows."""
    power = next(f for f in (8, 4, 2) if factor >= f)
    image.draft(None, (image.width // power, image.height // power))


def _to_rgb(image: Image.Image, orientation: int) -> Image.Image:
    image.load()
    turn = TURNS.get(orientation)
    upright = image if turn is None else image.transpose(turn)
    if upright.mode == "RGB" and "transparency" not in upright.info:
        return upright
    if upright.mode in (*_SIXTEEN_BIT, "I", "F"):
        return _scaled_grey(np.asarray(upright), sixteen_bit=upright.mode in _SIXTEEN_BIT)
    if upright.has_transparency_data:
        layer = upright.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return upright.convert("RGB")


def _scaled_grey(values: np.ndarray[Any, Any], *, sixteen_bit: bool) -> Image.Image:
    """Grey values wider than 8 bits to RGB; the range of int32 and float files is guessed."""
    wide = np.nan_to_num(values.astype(np.float32))
    top = max(wide.max(initial=0), 0)
    if sixteen_bit or top > 255:
        white = 65535.0
    else:
        white = 255.0 if top > 1 or values.dtype.kind != "f" else 1.0
    grey = np.clip(wide * (255.0 / white) + 0.5, 0, 255).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")
