"""Photos that are named on the command line: files, folders, and - for standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgetransfer.errors import DataError

if TYPE_CHECKING:
    from edgetransfer.data import Sample


def photos_given(images: list[str]) -> list[Sample | Path | bytes]:
    """The photos, those of folders among them, in order.

    Raises
    ------
    DataError
        If one is not there, or a folder has none.
    """
    from edgetransfer.data import Sample, find_images
    from edgetransfer.images import SUFFIXES

    sources: list[Sample | Path | bytes] = []
    for image in images:
        path = Path(image)
        if image == "-":
            sources.append(Sample(id="standard input", source=sys.stdin.buffer.read()))
        elif path.is_dir():
            found = list(find_images(path, suffixes=SUFFIXES))
            if not found:
                raise DataError(f"{path}: no images in this folder")
            sources.extend(found)
        elif path.exists():
            sources.append(path)
        else:
            raise DataError(f"{path}: no such file or folder")
    return sources
