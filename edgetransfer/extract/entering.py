"""Entering the folder of an extraction."""

from __future__ import annotations

from pathlib import Path

from edgetransfer.atomic import write_atomically
from edgetransfer.errors import DataError, TakenError
from edgetransfer.features.table_index import Index
from edgetransfer.settings.extract import INDEX


def begin(index: Index, folder: Path, *, overwrite: bool) -> None:
    """Take a folder for these tables, or go on in one that has some of them.

    Raises
    ------
    TakenError
        If it holds something else.
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
        return
    if not overwrite and folder.is_dir() and any(folder.iterdir()):
        raise TakenError(f"{folder}: it holds something else; choose another --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("part-*") if overwrite else ():
            path.unlink()
        write_atomically(folder / INDEX, index.text().encode())
    except OSError as error:
        raise DataError(f"{folder}: cannot be written: {error.strerror or error}") from error
