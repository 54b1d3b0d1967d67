"""Files of a run folder that are opened by hand."""

from __future__ import annotations

import os
from pathlib import Path

NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # a run from elsewhere must not lead out of its folder


def open_file(path: Path, flags: int) -> int:
    """Open a file of a run for reading or writing; returns its handle.

    Raises
    ------
    OSError
        If it cannot be opened, or is a link.
    """
    return os.open(path, flags | NO_LINK, 0o644)


def write_all(handle: int, data: bytes) -> None:
    """Write everything where the file stands."""
    written = 0
    while written < len(data):
        written += os.write(handle, data[written:])
