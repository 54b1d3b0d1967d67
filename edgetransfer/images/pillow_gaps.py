"""PNG and BMP layouts that Pillow reads as something else, corrected or refused.

Found by decoding every combination (tests/images/test_png_table.py and test_bmp_table.py). For
TIFF see `tiff_layout`.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from PIL import Image

from edgetransfer.errors import ImageError
from edgetransfer.images import limits
from edgetransfer.images.tiff_layout import with_arguments

RLE_PIXELS = 20_000_000  # Pillow takes run-length coded BMP files apart in Python
_BOTH_BYTES = 36  # bytes a pixel, where the lower ones are looked at as well
_BITFIELDS = (3, 6)
_TWELVE_BIT = 15  # the highest upper byte of a 12-bit value


def check_bmp(data: bytes, pixels: int) -> None:
    """Refuse 16-bit pixels with alpha, which would become opaque, and endless run lengths.

    Raises
    ------
    ImageError
        If it is one of these.
    """
    if len(data) < 54 or int.from_bytes(data[14:18], "little") < 40:
        return
    bits, compression = struct.unpack_from("<HI", data, 28)
    if compression in (1, 2) and pixels > RLE_PIXELS:
        raise ImageError(
            f"a run-length coded BMP of more than {RLE_PIXELS // 10**6} megapixels: save it as PNG"
        )
    alpha = int.from_bytes(data[66:70], "little")
    header = int.from_bytes(data[14:18], "little")
    if bits == 16 and compression in _BITFIELDS and header >= 56 and alpha:
        raise ImageError("a BMP of 16-bit pixels with alpha, which cannot be read: save it as PNG")


def heed_png_depth(image: Image.Image, data: bytes) -> Image.Image:
    """A loaded PNG with what Pillow forgets about its depth put right.

    The transparent grey of 2- and 4-bit files is not scaled as the pixels are; 16-bit colours are
    cut to their upper bytes, the transparent one is not, and 12-bit values in them are all but
    black.
    """
    depth = data[24]
    clear = image.info.get("transparency")
    if depth in (2, 4) and image.mode == "L" and isinstance(clear, int):
        most = (1 << depth) - 1
        image.info["transparency"] = (clear & most) * 255 // most
    if depth == 16 and image.mode in ("RGB", "RGBA"):
        return _sixteen_bit_colours(image, data, clear)
    return image


def _sixteen_bit_colours(image: Image.Image, data: bytes, clear: Any) -> Image.Image:
    bands = image.getextrema()[:3]
    dark = all(isinstance(high, int) and high <= _TWELVE_BIT for _, high in bands)  # type: ignore[misc]
    if not dark and clear is None:
        return image
    limits.check(_BOTH_BYTES * image.width * image.height, image)
    image.info.pop("transparency", None)
    values = np.asarray(image).astype(np.uint16) << 8
    with Image.open(io.BytesIO(data), formats=("PNG",)) as again:
        # Unpacked in the other byte order, the lower bytes come out.
        tile = again.tile[0]
        again.tile = [with_arguments(tile, str(tile[3]).replace("16B", "16L"))]
        values |= np.asarray(again)
    alpha = None
    if clear is not None:
        shown = (values[..., :3] != np.array(clear, np.uint16)).any(axis=2)
        alpha = Image.fromarray(np.where(shown, 255, 0).astype(np.uint8))
    elif image.mode == "RGBA":
        alpha = image.getchannel("A")
    if dark:
        scaled = np.clip(values[..., :3] * np.float32(255 / 4095) + 0.5, 0, 255)
        colours = Image.fromarray(scaled.astype(np.uint8))
    else:
        colours = image.convert("RGB")
    if alpha is not None:
        colours.putalpha(alpha)
    for name in ("icc_profile", "exif"):
        if name in image.info:
            colours.info[name] = image.info[name]
    return colours
