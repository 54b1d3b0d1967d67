"""How many records were acknowledged, beside the journal: shows that its end is missing.

    magic       4 bytes   ``ETA1``
    position    uint64    records that were acknowledged
    checksum    uint32    CRC-32 of the position

All numbers are little-endian. The mark is written after a group of the journal was synced, and is
not synced itself: after a loss of power it may be too low, never too high.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from pathlib import Path

from edgetransfer.atomic import naming
from edgetransfer.stream.keeping.opened import open_file

NAME = "acknowledged"
_MAGIC = b"ETA1"
_MARK = struct.Struct("<4sQI")


def encode_mark(position: int) -> bytes:
    """The mark's file."""
    return _MARK.pack(_MAGIC, position, _checksum(position))


def read_mark(path: Path) -> int | None:
    """Records acknowledged; None if there is no mark, or it is damaged."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    if len(content) != _MARK.size:
        return None
    magic, position, checksum = _MARK.unpack(content)
    return int(position) if magic == _MAGIC and checksum == _checksum(position) else None


class Mark:
    """The mark of one run, open for writing.

    Parameters
    ----------
    position
        What it says from now on.
    """

    def __init__(self, path: Path, position: int) -> None:
        self._position: int | None = None  # what could not be written
        self._file = open_file(path, os.O_RDWR | os.O_CREAT)
        if os.fstat(self._file).st_size != _MARK.size:
            with naming(path):
                os.ftruncate(self._file, 0)
        self.set(position)

    def set(self, position: int) -> None:
        """Say that so many records were acknowledged; a mark that cannot be written is too low."""
        self._position = position
        with contextlib.suppress(OSError):
            os.lseek(self._file, 0, os.SEEK_SET)
            if os.write(self._file, encode_mark(position)) == _MARK.size:
                self._position = None

    def close(self) -> None:
        """Let go of the file; what could not be written is tried once more."""
        if self._position is not None:
            self.set(self._position)
        os.close(self._file)


def _checksum(position: int) -> int:
    return zlib.crc32(position.to_bytes(8, "little"))
