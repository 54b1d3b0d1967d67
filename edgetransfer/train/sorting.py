"""Photos copied into a folder a class, as they were predicted; none is moved, none replaced."""

from __future__ import annotations

import filecmp
import re
from collections.abc import Sequence
from pathlib import Path

from edgetransfer.atomic import copy_to_free
from edgetransfer.errors import EdgeTransferError, TakenError

UNKNOWN = "unknown"
# What some file system or other does not take in a folder's name, or takes for another folder.
_UNFIT = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\udc80-\udcff]')
LONGEST = 100  # characters


def folder_names(classes: Sequence[str]) -> dict[str | None, str]:
    """A folder's name for each class, and for None, which is the unknown.

    All differ, however upper case counts; a class keeps its own name where that can be a folder's.
    """
    given: dict[str | None, str] = {}
    taken: set[str] = set()
    wanted: list[tuple[str | None, str]] = [(name, name) for name in classes]
    for name, text in [*wanted, (None, UNKNOWN)]:
        fit = _UNFIT.sub("_", text)[:LONGEST].rstrip(". ") or "_"
        numbered = (fit if i == 1 else f"{fit}-{i}" for i in range(1, len(classes) + 3))
        given[name] = next(folder for folder in numbered if folder.casefold() not in taken)
        taken.add(given[name].casefold())
    return given


class PhotoSorter:
    """Copies photos into folders of their classes.

    Parameters
    ----------
    folder
        Made if it is not there.
    classes
        All that there may be.

    Raises
    ------
    TakenError
        If the folder's name is a file's.
    """

    def __init__(self, folder: Path, classes: Sequence[str]) -> None:
        if folder.exists() and not folder.is_dir():
            raise TakenError(f"--sort-into {folder}: a file of that name is in the way")
        self.folder = folder
        self._names = folder_names(classes)

    def put(self, photo: Path, name: str | None) -> Path:
        """Copy a photo to its class, or to those that show none; returns where it is now.

        A copy that is there already is left; another photo of that name gets a number.

        Raises
        ------
        EdgeTransferError
            If it cannot be copied.
        """
        place = self.folder / self._names[name]
        try:
            place.mkdir(parents=True, exist_ok=True)
            number = 1
            while True:
                marked = photo.name if number == 1 else f"{photo.stem}-{number}{photo.suffix}"
                target = place / marked
                if copy_to_free(photo, target):
                    return target
                if target.is_file() and filecmp.cmp(photo, target, shallow=False):
                    return target
                number += 1
        except OSError as error:
            reason = error.strerror or str(error)
            raise EdgeTransferError(f"{photo}: cannot be copied to {place}: {reason}") from error
