"""The ids of a run on disk: sixteen bytes each, appended at every checkpoint."""

from __future__ import annotations

import os
from pathlib import Path

from edgetransfer.errors import DataError
from edgetransfer.online.ids import ID_BYTES, IdSet


class IdFile:
    """All ids that a run has accepted; those before the last checkpoint are on disk.

    A checkpoint names how many of them it covers: what stands behind that is cut off at the next
    start, for the journal brings it again.

    Raises
    ------
    DataError
        If there are fewer than ``count``.
    """

    def __init__(self, path: Path, count: int) -> None:
        self.path = path
        self.saved = count
        self._unsaved: list[bytes] = []
        data = path.read_bytes() if path.exists() else b""
        if len(data) < count * ID_BYTES:
            raise DataError(
                f"{path}: it is shorter than the checkpoint says; restore it from a copy, or "
                "`edgetransfer rollback` to an older checkpoint"
            )
        if len(data) > count * ID_BYTES:
            os.truncate(path, count * ID_BYTES)
        self._keys = IdSet(data[i : i + ID_BYTES] for i in range(0, count * ID_BYTES, ID_BYTES))

    def __contains__(self, key: bytes) -> bool:
        return key in self._keys

    def add(self, key: bytes) -> None:
        """Remember a key; it is on disk after the next `save`."""
        self._keys.add(key)
        self._unsaved.append(key)

    def save(self) -> int:
        """Append what is new and sync it; returns how many there are on disk.

        An `OSError` leaves the file as it was.
        """
        if not self._unsaved:
            return self.saved
        size = self.saved * ID_BYTES
        data = b"".join(self._unsaved)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            os.lseek(handle, size, os.SEEK_SET)
            written = 0
            while written < len(data):
                written += os.write(handle, data[written:])
            os.fsync(handle)
        except OSError:
            os.ftruncate(handle, size)
            raise
        finally:
            os.close(handle)
        self.saved += len(self._unsaved)
        self._unsaved.clear()
        return self.saved
