"""Which part of a picture the model sees: the train view and the eval view.

Both follow the paper (section 3.3): the train view is a random resized crop (area 0.08 to 1,
aspect 3/4 to 4/3; Szegedy et al., "Going deeper with convolutions", CVPR 2015) with a horizontal
flip; the eval view scales the shorter side and crops the centre.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import numpy as np
from PIL import Image

from edgetransfer.reprs import short_repr
from edgetransfer.types import Float32Array, Preprocessing

_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
# So many times the pixels that the view shows stay in each direction when a JPEG is scaled down
# before. On 12-megapixel photos the view then differs by 0.4 grey levels on average from that of
# the whole photo (0.2 with 2.0, which takes 14 % longer; 0.6 with 1.0, 7 % less).
SPARE = 1.25
LONGEST = 16  # crops: a longer picture is cropped before it is scaled


@dataclass(frozen=True, kw_only=True)
class View:
    """A rectangle of an upright picture, scaled, and the model's square within that.

    Parameters
    ----------
    box
        Left, top, right, bottom, in pixels of the full picture.
    scaled
        Width and height, in pixels, that the rectangle is scaled to.
    corner
        Left and top of the square within the scaled rectangle.
    flip
        Whether left and right are exchanged.
    shrink
        By how much the picture may be scaled down before, 1.0 for not at all.
    """

    box: tuple[float, float, float, float]
    scaled: tuple[int, int]
    corner: tuple[int, int] = (0, 0)
    flip: bool = False
    shrink: float = 1.0

    __repr__ = short_repr


def view_rng(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The randomness of one view: a function of (seed, epoch, index of the image) alone.

    Good until the same thread's next call: a new generator would first ask the system for a seed
    that is not used, which takes five times as long.
    """
    if not hasattr(_own, "rng"):
        _own.rng = np.random.Generator(np.random.Philox(0))
    rng: np.random.Generator = _own.rng
    rng.bit_generator.state = {
        "bit_generator": "Philox",
        "state": {
            "counter": np.array([0, 0, 0, index], np.uint64),
            "key": np.array([seed, epoch], np.uint64),
        },
        "buffer": np.zeros(4, np.uint64),
        "buffer_pos": 4,
        "has_uint32": 0,
        "uinteger": 0,
    }
    return rng


_own = threading.local()


@dataclass(frozen=True, kw_only=True)
class TrainTransform:
    """Random resized crop and horizontal flip.

    Parameters
    ----------
    size
        Side of the model input, in pixels.
    area
        Least and greatest share of the picture that a crop covers.
    aspect
        Least and greatest width over height of a crop.
    flip
        How often left and right are exchanged, 0 to 1.
    """

    size: int
    area: tuple[float, float] = (0.08, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5

    __repr__ = short_repr

    def view(self, width: int, height: int, rng: np.random.Generator) -> View:
        """Draw the view of a picture of that size."""
        box = self._box(width, height, rng)
        shorter = min(box[2] - box[0], box[3] - box[1])
        return View(
            box=box,
            scaled=(self.size, self.size),
            flip=bool(rng.random() < self.flip),
            shrink=max(1.0, shorter / (SPARE * self.size)),
        )

    def _box(self, width: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
        low, high = math.log(self.aspect[0]), math.log(self.aspect[1])
        for _ in range(10):
            a, b = rng.random(), rng.random()  # two at once would let go of Python's lock
            area = width * height * (self.area[0] + (self.area[1] - self.area[0]) * a)
            aspect = math.exp(low + (high - low) * b)
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                left = int(rng.integers(0, width - w + 1))
                top = int(rng.integers(0, height - h + 1))
                return (left, top, left + w, top + h)
        # No crop fits a very long picture: take the largest allowed one from its centre.
        w, h = width, height
        if width / height < self.aspect[0]:
            h = max(1, round(width / self.aspect[0]))
        elif width / height > self.aspect[1]:
            w = max(1, round(height * self.aspect[1]))
        left, top = (width - w) // 2, (height - h) // 2
        return (left, top, left + w, top + h)


@dataclass(frozen=True, kw_only=True)
class EvalTransform:
    """Shorter side to ``resize`` pixels, then the central ``size`` by ``size``."""

    size: int
    resize: int

    __repr__ = short_repr

    def view(self, width: int, height: int) -> View:
        """The view of a picture of that size.

        It is scaled whole and then cropped, step for step what the backbone saw in training:
        Pillow orders its two passes by the sizes, so that to resample the crop alone can change
        pixels by two grey levels, and by twelve with a bicubic filter on few pixels. Scaling
        before (a JPEG's DCT scaling) would change single pixels by up to four grey levels at hard
        edges even when six times as many pixels stay, so there is no shrinking.
        """
        shorter = min(width, height)
        scaled = (int(self.resize * width / shorter), int(self.resize * height / shorter))
        if max(scaled) > LONGEST * self.size:
            return self._central(width, height)
        corner = (round((scaled[0] - self.size) / 2), round((scaled[1] - self.size) / 2))
        return View(box=(0, 0, width, height), scaled=scaled, corner=corner)

    def _central(self, width: int, height: int) -> View:
        """The crop of a very long picture: scaled whole, a strip of 1 x 10,000 takes gigabytes."""
        side = min(width, height) * self.size / self.resize
        left, top = (width - side) / 2, (height - side) / 2
        return View(box=(left, top, left + side, top + side), scaled=(self.size, self.size))


def render(
    picture: Image.Image, view: View, full_size: tuple[int, int], preprocessing: Preprocessing
) -> Image.Image:
    """Show a view of a picture as an S by S RGB image.

    Parameters
    ----------
    full_size
        Width and height that the view's box refers to; the picture may be a smaller version.
    """
    x, y = picture.width / full_size[0], picture.height / full_size[1]
    left, top, right, bottom = view.box
    shown = picture.resize(
        view.scaled,
        _FILTERS[preprocessing.interpolation],
        box=(left * x, top * y, right * x, bottom * y),
    )
    size = preprocessing.size
    if shown.size != (size, size):
        left, top = view.corner
        shown = shown.crop((left, top, left + size, top + size))
    return shown.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if view.flip else shown


def normalise(shown: Image.Image, preprocessing: Preprocessing, out: Float32Array) -> None:
    """Write an S by S RGB image as (3, S, S) float32, (x / 255 - mean) / std, into ``out``.

    The channels of ``out`` are in the order that the preprocessing names.
    """
    std = np.asarray(preprocessing.std, np.float64)
    scale = (1 / (255 * std)).astype(np.float32)
    shift = (-np.asarray(preprocessing.mean, np.float64) / std).astype(np.float32)
    for name, plane in zip(preprocessing.channels, out, strict=True):
        # Pillow takes a channel out in less time than NumPy steps over the other two.
        channel = "RGB".index(name)
        values = np.frombuffer(shown.tobytes("raw", name), np.uint8)
        np.multiply(values.reshape(plane.shape), scale[channel], out=plane)
        plane += shift[channel]
