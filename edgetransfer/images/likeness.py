"""A few numbers a picture, that stay nearly the same when it is scaled or compressed again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from edgetransfer.images.decoding import open_upright
from edgetransfer.types import Float32Array

SIDE = 32  # pixels of the square that a picture is shrunk to
HEAD = 4  # numbers before the pixels
# So many times the pixels stay when a JPEG is scaled down before: its decoder rounds a side up to
# whole pixels, which must not shift what is seen.
SPARE = 2.5


def likeness_of(source: bytes | Path) -> Float32Array:
    """The likeness of an image file, (4 + SIDE²,) float32.

    The logarithm of its width over its height and the mean of red, green and blue (0 to 1); then
    the whole picture in grey as a square of ``SIDE`` pixels, row by row, less its mean, of length
    1: the product of two is their correlation.

    Raises
    ------
    ImageError
        If it cannot be decoded.
    """
    sizes: list[tuple[int, int]] = []

    def shrink(width: int, height: int) -> float:
        sizes.append((width, height))
        return min(width, height) / (SPARE * SIDE)

    picture = open_upright(source, shrink)
    width, height = sizes[0] if sizes else picture.size
    factor = max(1, round(width / picture.width))
    box = (0, 0, min(width / factor, picture.width), min(height / factor, picture.height))
    square = picture.resize((SIDE, SIDE), Image.Resampling.HAMMING, box=box)
    means = np.asarray(square, np.float32).mean(axis=(0, 1)) / 255
    pixels = np.asarray(square.convert("L"), np.float32).ravel()
    pixels = pixels - pixels.mean()
    length = float(np.linalg.norm(pixels))
    pixels = pixels / length if length > 0 else pixels
    ratio = np.float32(np.log(width / height))
    likeness: Float32Array = np.concatenate([[ratio], means, pixels]).astype(np.float32)
    return likeness
