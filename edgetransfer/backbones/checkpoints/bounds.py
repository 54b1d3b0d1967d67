"""What a pickle may ask for, looked at before it is unpickled.

Python's unpickler makes room for a memo as large as the largest index, and for a string as long as
its header says: a hundred bytes may ask for gigabytes.
"""

from __future__ import annotations

import pickle
import pickletools
from typing import IO

LONGEST_LINE = 1 << 20
_PUTS = frozenset(["PUT", "BINPUT", "LONG_BINPUT"])


class Within:
    """A file whose reads never ask for more than it holds.

    Parameters
    ----------
    end
        Where it ends.
    """

    def __init__(self, file: IO[bytes], end: int) -> None:
        self._file = file
        self._end = end

    def read(self, size: int = -1) -> bytes:
        """As a file's; a `pickle.UnpicklingError` if there is not so much."""
        if not 0 <= size <= self._end - self._file.tell():
            raise pickle.UnpicklingError("the pickle ends before its strings do")
        return self._file.read(size)

    def readline(self) -> bytes:
        """As a file's, and no longer than a megabyte."""
        return self._file.readline(LONGEST_LINE)

    def tell(self) -> int:
        """Where it stands."""
        return self._file.tell()


def check_pickle(file: IO[bytes], end: int) -> Within:
    """Go over the pickle that begins where a file stands, and back.

    Each value that is remembered takes a byte at least, so an index beyond the bytes before it
    is no pickler's.

    Raises
    ------
    pickle.UnpicklingError
        If it asks for more memory than it has bytes.
    ValueError
        If it is no pickle.
    """
    start = file.tell()
    bounded = Within(file, end)
    for opcode, index, place in pickletools.genops(bounded):  # type: ignore[arg-type]
        if opcode.name in _PUTS and not 0 <= int(index or 0) <= (place or 0) - start:
            raise pickle.UnpicklingError(f"the pickle asks for a memo of {index} places")
    file.seek(start)
    return bounded
