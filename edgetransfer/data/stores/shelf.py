"""Photos out of tables, databases and packed archives, in one file that each of them is read from.

Training reads photos in any order and in several processes, which such stores are not made for:
one pass over them puts the bytes of their photos behind one another. The file is gone when the
process ends; what a killed one left goes with the next.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edgetransfer.data.samples import Stored
from edgetransfer.errors import EdgeTransferError
from edgetransfer.paths import default_cache_folder
from edgetransfer.reprs import short_repr

FOLDER = "unpacked"
ENDING = ".photos"


@dataclass(frozen=True, kw_only=True)
class Piece(Stored):
    """A photo that is a piece of a file.

    Parameters
    ----------
    path
        Of the file.
    offset, length
        In bytes.
    checksum
        CRC-32 of the piece.
    """

    path: str
    offset: int
    length: int
    checksum: int

    __repr__ = short_repr

    def read(self) -> bytes:
        """See `Stored.read`."""
        with open(self.path, "rb") as file:  # noqa: PTH123  (a `Path` each would take long)
            file.seek(self.offset)
            return file.read(self.length)

    @property
    def size(self) -> int:
        """See `Stored.size`."""
        return self.length

    @property
    def stamp(self) -> str:
        """See `Stored.stamp`."""
        return f"{self.length} {self.checksum}"


class Shelf:
    """The file that pieces are put into, in the user's cache folder."""

    def __init__(self) -> None:
        folder = default_cache_folder() / FOLDER
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _remove_left(folder)
            handle, self._path = tempfile.mkstemp(ENDING, f"{os.getpid()}-", folder)
        except OSError as error:
            raise self._unwritable(folder, error) from error
        self._file: BinaryIO = os.fdopen(handle, "wb", 1 << 20)
        self._end = 0
        _hold(self._file.fileno())
        atexit.register(_close, self._file, self._path, os.getpid())

    def add(self, content: bytes) -> Piece:
        """Put a photo there.

        Raises
        ------
        EdgeTransferError
            If the disk is full.
        """
        try:
            self._file.write(content)
        except OSError as error:
            raise self._unwritable(Path(self._path).parent, error) from error
        piece = Piece(
            path=self._path, offset=self._end, length=len(content), checksum=zlib.crc32(content)
        )
        self._end += len(content)
        return piece

    def finish(self) -> None:
        """All is there: from now on it may be read.

        Raises
        ------
        EdgeTransferError
            As `add`.
        """
        try:
            self._file.flush()
        except OSError as error:
            raise self._unwritable(Path(self._path).parent, error) from error

    @staticmethod
    def _unwritable(folder: Path, error: OSError) -> EdgeTransferError:
        return EdgeTransferError(
            f"{folder}: the photos cannot be unpacked there: {error.strerror}; "
            "EDGETRANSFER_CACHE names another folder"
        )


def _hold(handle: int) -> None:
    """Say that the file is in use; the system lets go of it however the process ends."""
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_left(folder: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows: nobody can be asked
        return
    for path in folder.glob(f"*{ENDING}"):
        with contextlib.suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def _close(file: BinaryIO, path: str, owner: int) -> None:
    if os.getpid() == owner:  # a fork leaves it to its parent
        with contextlib.suppress(OSError):
            file.close()
        with contextlib.suppress(OSError):
            os.unlink(path)  # noqa: PTH108
