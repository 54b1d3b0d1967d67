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


def tinted(image):
    warmer = np.asarray(image, np.float32) * (0.95, 0.75, 0.6) + (10, 0, 5)
    return Image.fromarray(warmer.astype(np.uint8))


# Mirrored or not, and quarter turns to the left, that make an original of its copy.
ORIENTATIONS = {
    "mirrored": (True, 0),
    "all at once": (True, 0),
    "upside down": (True, 2),
    "turned left": (False, 3),
    "turned round": (False, 2),
    "turned right": (False, 1),
    "transposed": (True, 1),
}

COPIES = {
    "scaled down": lambda image: jpeg(scaled(image, 0.37)),
    "scaled up": lambda image: png(scaled(image, 1.7)),
    "compressed": lambda image: jpeg(image, 20),
    "mirrored": lambda image: jpeg(ImageOps.mirror(image)),
    "upside down": lambda image: jpeg(ImageOps.flip(image)),
    "turned left": lambda image: jpeg(image.transpose(Image.Transpose.ROTATE_90)),
    "turned round": lambda image: jpeg(scaled(image, 0.6).transpose(Image.Transpose.ROTATE_180)),
    "turned right": lambda image: jpeg(image.transpose(Image.Transpose.ROTATE_270), 40),
    "transposed": lambda image: jpeg(image.transpose(Image.Transpose.TRANSPOSE)),
    "tinted": lambda image: jpeg(tinted(image)),
    "grey": lambda image: jpeg(image.convert("L")),
    "all at once": lambda image: jpeg(ImageOps.mirror(scaled(image, 0.5)), 40),
}


def cut(image, keep, x, y):
    """A part of a picture; ``x`` and ``y`` say where, 0 to 1."""
    width, height = round(image.width * keep), round(image.height * keep)
    left, top = round((image.width - width) * x), round((image.height - height) * y)
    return image.crop((left, top, left + width, top + height))


def on_a_page(image, width, height, x, y, colour):
    """A picture on a larger page of one colour, with bars as a program has them."""
    page = Image.new("RGB", (round(image.width * width), round(image.height * height)), colour)
    page.paste((40, 44, 52), (0, 0, page.width, page.height // 15))
    page.paste(
        image, (round((page.width - image.width) * x), round((page.height - image.height) * y))
    )
    return page
