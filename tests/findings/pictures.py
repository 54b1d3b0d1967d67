"""Pictures that differ, and copies of them."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps


def picture(seed, width=180, height=120):
    """Smooth random structure in colour, different for every seed."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (6, 9, 3), np.uint8)
    smooth = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    grain = rng.normal(0, 6, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(smooth) + grain, 0, 255).astype(np.uint8))


def jpeg(image, quality=92):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def png(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def scaled(image, factor):
    size = max(8, round(image.width * factor)), max(8, round(image.height * factor))
    return image.resize(size, Image.Resampling.LANCZOS)


COPIES = {
    "scaled down": lambda image: jpeg(scaled(image, 0.37)),
    "scaled up": lambda image: png(scaled(image, 1.7)),
    "compressed": lambda image: jpeg(image, 20),
    "mirrored": lambda image: jpeg(ImageOps.mirror(image)),
    "all at once": lambda image: jpeg(ImageOps.mirror(scaled(image, 0.5)), 40),
}
