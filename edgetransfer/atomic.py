"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import time

_LEFT = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")


def write_atomically(path: Path, *content: bytes | memoryview) -> None:
    """Write a file, in one part or more, under a temporary name, flush it to disk, and rename it.

    A reader, or a restart after a kill or a power cut, finds the old file or the new one.

    Raises
    ------
    OSError
        If it cannot be written, with the file's name; the old file stays and nothing half-written
        remains.
    """
    write_together({path: content})


def write_together(files: Mapping[Path, Sequence[bytes | memoryview]]) -> None:
    """Write files that belong together, each as `write_atomically` does.

    None is renamed before all are on disk, so that a disk that is full leaves all the old ones. A
    kill may fall between two renamings: the file that the others are of no use without comes last.

    Raises
    ------
    OSError
        As `write_atomically`.
    """
    temporary = {path: path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp") for path in files}
    try:
        for path, content in files.items():
            with _named(path), temporary[path].open("wb") as file:
                file.writelines(content)
                file.flush()
                os.fsync(file.fileno())
        for path in files:
            with _named(path):
                os.replace(temporary[path], path)
    finally:
        for left in temporary.values():
            with contextlib.suppress(OSError):  # what failed before it is what counts
                left.unlink(missing_ok=True)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors name the file that was to be written: the system names a temporary one, or none."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def sync_folder(folder: Path) -> None:
    """Make new names in a folder survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with _named(folder):
            os.fsync(handle)
    finally:
        os.close(handle)


def is_leftover(name: str) -> bool:
    """Whether a file of this name was left by a write that was killed."""
    return _LEFT.fullmatch(name) is not None


def remove_leftovers(folder: Path, *, after: float = 0.0) -> None:
    """Delete what killed writes have left.

    Parameters
    ----------
    after
        Seconds that it has lain there: for a folder that others write to as well. None by default,
        for whoever alone writes to it.
    """
    if not folder.is_dir():
        return
    for path in list(folder.iterdir()):
        if is_leftover(path.name):
            with contextlib.suppress(FileNotFoundError):
                if not after or time() - path.lstat().st_mtime > after:
                    path.unlink()
