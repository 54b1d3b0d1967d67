"""The ids of a run on disk: sixteen bytes each, appended at every checkpoint."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from edgetransfer.atomic import naming
from edgetransfer.stream.keeping.opened import open_file, write_all
from edgetransfer.stream.learning.ids import ID_BYTES, IdSet


def read_ids(path: Path, count: int, checksum: int | None) -> bytes | None:
    """The first so many keys of an id file; None if they are not there, or not whole.

    Parameters
    ----------
    checksum
        CRC-32 of them; None where the checkpoint is of a version that knew none.
    """
    try:
        with path.open("rb") as file:
            keys = file.read(count * ID_BYTES)
    except FileNotFoundError:
        keys = b""
    if len(keys) < count * ID_BYTES or checksum not in (None, zlib.crc32(keys)):
        return None
    return keys


class IdFile:
    """All ids that a run has accepted; those before the last checkpoint are on disk.

    A checkpoint names how many of them it covers, and their checksum: what stands behind that is
    overwritten by the next `save`, for the journal brings it again.

    Parameters
    ----------
    keys
        What the file begins with; see `read_ids`.
    """

    def __init__(self, path: Path, keys: bytes) -> None:
        self.path = path
        self.saved = len(keys) // ID_BYTES
        self.checksum = zlib.crc32(keys)
        self._unsaved: list[bytes] = []
        self._keys = IdSet(keys[i : i + ID_BYTES] for i in range(0, len(keys), ID_BYTES))

    def __contains__(self, key: bytes) -> bool:
        return key in self._keys

    def add(self, key: bytes) -> None:
        """Remember a key; it is on disk after the next `save`."""
        self._keys.add(key)
        self._unsaved.append(key)

    def save(self) -> int:
        """Append what is new and sync it; returns how many there are on disk.

        An `OSError` leaves the file as it was, but for what no checkpoint covers.
        """
        if not self._unsaved:
            return self.saved
        size = self.saved * ID_BYTES
        data = b"".join(self._unsaved)
        handle = open_file(self.path, os.O_RDWR | os.O_CREAT)
        try:
            with naming(self.path):
                os.ftruncate(handle, size)
                os.lseek(handle, size, os.SEEK_SET)
                write_all(handle, data)
                os.fsync(handle)
        except OSError:
            with naming(self.path):
                os.ftruncate(handle, size)
            raise
        finally:
            os.close(handle)
        self.saved += len(self._unsaved)
        self.checksum = zlib.crc32(data, self.checksum)
        self._unsaved.clear()
        return self.saved
