"""Photos in whatever form a caller of Python has them, as samples."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from PIL import Image, ImageOps

from edgetransfer.data import Sample, find_images
from edgetransfer.errors import DataError
from edgetransfer.images import SUFFIXES
from edgetransfer.types import UInt8Array

Photo: TypeAlias = Sample | str | os.PathLike[str] | bytes | IO[bytes] | Image.Image | UInt8Array
"""A file, the bytes of one, an open one, a picture of Pillow's, or an array (H, W, 3) uint8 RGB."""

# What PNG holds as it is, but for what Pillow calls otherwise.
_KEPT_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


def is_one_photo(given: Any) -> bool:
    """Whether something is one photo, not several."""
    if isinstance(given, np.ndarray):
        return given.ndim != 4
    if hasattr(given, "read"):  # an open file
        return True
    return isinstance(given, Sample | str | os.PathLike | bytes | bytearray | Image.Image)


def samples_of(photos: Iterable[Photo]) -> list[Sample]:
    """Photos as samples, in their order; whether a file can be decoded is seen later.

    Raises
    ------
    DataError
        If one is of another kind, or an array of another shape or type.
    """
    return [sample_of(photo, place) for place, photo in enumerate(photos)]


def sample_of(photo: Photo, place: int = 0) -> Sample:
    """One photo as a sample; ``place`` names what has no name.

    Raises
    ------
    DataError
        If it is of another kind, or an array of another shape or type.
    """
    if isinstance(photo, Sample):
        return photo
    if isinstance(photo, str | os.PathLike):
        return Sample(id=os.fspath(photo), source=Path(photo))
    name = f"image {place}"
    if isinstance(photo, bytes | bytearray):
        return Sample(id=name, source=bytes(photo))
    if isinstance(photo, np.ndarray):
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or not photo.size:
            raise DataError(
                f"{name}: an array of {photo.dtype} and shape {photo.shape}; a photo is uint8 of "
                "shape (height, width, 3), red first"
            )
        return Sample(id=name, source=_png(Image.fromarray(np.ascontiguousarray(photo))))
    if isinstance(photo, Image.Image):
        return Sample(id=getattr(photo, "filename", "") or name, source=_png(_upright(photo)))
    if hasattr(photo, "read"):
        return _of_open_file(photo, name)
    raise DataError(
        f"{name}: {type(photo).__name__} is no photo; give a path, bytes, an open file, a picture "
        "of Pillow's or an array"
    )


def _of_open_file(file: Any, name: str) -> Sample:
    """From its beginning where it can go back, as Pillow does; an upload may have no name."""
    own = getattr(file, "name", None)
    name = own if isinstance(own, str) and own else name
    try:
        if hasattr(file, "seekable") and file.seekable():
            file.seek(0)
        data = file.read()
    except (OSError, ValueError) as error:  # closed, or text that cannot be decoded
        raise DataError(f"{name}: cannot be read: {error}; open it anew, with 'rb'") from error
    if not isinstance(data, bytes | bytearray):
        raise DataError(f"{name}: is open as text; open it with 'rb'")
    return Sample(id=name, source=bytes(data))


def photos_in(folder: Path) -> list[Sample]:
    """The photos of a folder and of those in it.

    Raises
    ------
    DataError
        If there are none.
    """
    found = [Sample(id=str(path), source=path) for path in find_images(folder, suffixes=SUFFIXES)]
    if not found:
        raise DataError(f"{folder}: no images in this folder")
    return found


def _upright(picture: Image.Image) -> Image.Image:
    turned = ImageOps.exif_transpose(picture)
    return turned if turned.mode in _KEPT_MODES else turned.convert("RGB")


def _png(picture: Image.Image) -> bytes:
    """A picture as a file that holds the same pixels."""
    file = io.BytesIO()
    picture.save(
        file, "PNG", compress_level=1, exif=b"", icc_profile=picture.info.get("icc_profile")
    )
    return file.getvalue()
