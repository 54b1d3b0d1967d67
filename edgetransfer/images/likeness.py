"""A few numbers a picture, that stay nearly the same when it is scaled or compressed again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from edgetransfer.images.decoding import open_upright
from edgetransfer.reprs import short_repr
from edgetransfer.types import Float32Array

SIDE = 32  # pixels of the square that a picture is shrunk to
HEAD = 4  # numbers before the pixels
# So many times the pixels stay when a JPEG is scaled down before: its decoder rounds a side up to
# whole pixels, which must not shift what is seen.
SPARE = 2.5
SMALL = 64  # pixels of the longer side of the picture that is kept


@dataclass(frozen=True, kw_only=True)
class Look:
    """A photo as it is compared with others.

    Parameters
    ----------
    likeness
        See `likeness_of`.
    small
        RGB, its longer side `SMALL` pixels.
    """

    likeness: Float32Array
    small: Image.Image

    __repr__ = short_repr


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
    return look_at(source).likeness


def look_at(source: bytes | Path) -> Look:
    """The likeness of an image file, and a small picture of it; errors as of `likeness_of`."""
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
    longer = max(width, height)
    small = max(1, round(SMALL * width / longer)), max(1, round(SMALL * height / longer))
    return Look(likeness=likeness, small=picture.resize(small, Image.Resampling.BOX, box=box))
