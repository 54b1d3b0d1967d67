"""Entering the folder of an extraction."""

from __future__ import annotations

from pathlib import Path

from edgetransfer.atomic import remove_leftovers, write_atomically
from edgetransfer.errors import EdgeTransferError, TakenError
from edgetransfer.features.table_index import Index
from edgetransfer.runs.owning import is_empty
from edgetransfer.settings.extract import INDEX

LEFT_SECONDS = 24 * 3600  # of a temporary file: a younger one may be another member's


def check(folder: Path) -> None:
    """Refuse what is no folder, before anything is looked at.

    Raises
    ------
    TakenError
        If a file is in the way.
    """
    if folder.exists() and not folder.is_dir():
        raise TakenError(f"{folder}: a file of that name is in the way; choose another --out")


def begin(index: Index, folder: Path, *, overwrite: bool) -> None:
    """Take a folder for these tables, or go on in one that has some of them.

    Raises
    ------
    TakenError
        If it holds something else.
    EdgeTransferError
        If it cannot be written.
    """
    there = Index.read(folder) if not overwrite else None
    if there is not None:
        differs = there.origin.difference(index.origin)
        if differs is None and there.text() != index.text():
            differs = "the photos, or --rows, are not the same"
        if differs is not None:
            raise TakenError(
                f"{folder}: it holds other features: {differs}; choose another --out, or "
                "--overwrite"
            )
        remove_leftovers(folder, after=LEFT_SECONDS)
        return
    if not overwrite and folder.is_dir() and not is_empty(folder):
        raise TakenError(f"{folder}: it holds something else; choose another --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("part-*") if overwrite else ():
            path.unlink()
        write_atomically(folder / INDEX, index.text().encode())
    except OSError as error:
        raise EdgeTransferError(
            f"{folder}: cannot be written: {error.strerror or error}"
        ) from error
