"""Embedded colour profiles: pictures of another colour space are converted to sRGB.

A profile is looked at once: one that says what sRGB says (there are dozens of those) costs a hash
from then on. Conversion is LittleCMS' (relative colorimetric, black point compensation).
"""

from __future__ import annotations

import hashlib
import io
import logging
import threading
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

logger = logging.getLogger(__name__)

KEPT = 64  # profiles; a data set has a handful
LONGEST = 16 * 2**20  # bytes
ALIKE = 3  # levels of 255 that a profile of sRGB's may differ by, rounding included
_SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}

_transforms: dict[tuple[bytes, str], Any] = {}
_lock = threading.Lock()


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image | None:
    """An RGB picture in sRGB of an RGB, L or CMYK one.

    Returns
    -------
    None if there is nothing to convert by: no profile, one of sRGB's, one of another colour
    space than the picture's, or a broken one.
    """
    if not profile or image.mode not in ("RGB", "L", "CMYK") or len(profile) > LONGEST:
        return None
    key = (hashlib.sha256(profile).digest(), image.mode)
    with _lock:
        if key not in _transforms:
            if len(_transforms) >= KEPT:
                _transforms.clear()
            _transforms[key] = _transform(profile, image.mode)
        transform = _transforms[key]
    if transform is None:
        return None
    if isinstance(transform, list):
        return image.point(transform).convert("RGB")
    converted: Image.Image = transform.apply(image)
    return converted


def lab_to_srgb(image: Image.Image) -> Image.Image:
    """An RGB picture in sRGB of a CIE L*a*b* one (D50, as TIFF 6.0 and ICC have it)."""
    converted: Image.Image = _lab_transform().apply(image)
    return converted


@cache
def _lab_transform() -> Any:
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(lab, srgb, "LAB", "RGB")


def _transform(profile: bytes, mode: str) -> Any:
    """From a profile to sRGB (of grey: the 256 levels); None if not needed or not possible."""
    try:
        from PIL import ImageCms
    except ImportError:
        logger.warning("this Pillow has no LittleCMS: colour profiles are not heeded")
        return None
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if _SPACES.get(opened.profile.xcolor_space) != mode:
            return None
        transform = ImageCms.buildTransform(
            opened,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION
            | (ImageCms.Flags.NOOPTIMIZE if mode == "L" else ImageCms.Flags.NONE),
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, AttributeError):
        return None
    if mode == "CMYK":
        return transform
    if mode == "L":
        ramp = np.arange(256, dtype=np.uint8)[None]
        levels = np.asarray(transform.apply(Image.fromarray(ramp)))[0, :, 1]
        alike = np.abs(levels.astype(np.int16) - ramp[0]).max() <= ALIKE
        return None if alike else levels.tolist()
    patches = _patches()
    before, after = np.asarray(patches, np.int16), np.asarray(transform.apply(patches), np.int16)
    return None if np.abs(after - before).max() <= ALIKE else transform


def _patches() -> Image.Image:
    """729 colours, 9 levels a channel."""
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    return Image.fromarray(np.stack(np.meshgrid(levels, levels, levels), -1).reshape(27, 27, 3))
