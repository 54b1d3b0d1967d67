"""Files that are whole or not there."""

from __future__ import annotations

import os
import re
import uuid
from pathlib import Path

_LEFT = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")


def write_atomically(path: Path, *content: bytes | memoryview) -> None:
    """Write a file, in one part or more, under a temporary name, flush it to disk, and rename it.

    A reader, or a restart after a kill or a power cut, finds the old file or the new one.

    Raises
    ------
    OSError
        If it cannot be written; the old file stays and nothing half-written remains.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with temporary.open("wb") as file:
            file.writelines(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make new names in a folder survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_leftover(name: str) -> bool:
    """Whether a file of this name was left by a write that was killed."""
    return _LEFT.fullmatch(name) is not None


def remove_leftovers(folder: Path) -> None:
    """Delete what killed writes have left; for whoever alone writes to the folder."""
    if folder.is_dir():
        for path in list(folder.iterdir()):
            if is_leftover(path.name):
                path.unlink(missing_ok=True)
