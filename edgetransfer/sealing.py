"""safetensors files that show every damage: a CRC-32 over the whole file, its header included.

The checksum stands in the file's own metadata, as eight hexadecimal digits under ``seal``. It is
that of the file with zeros in the place of those digits.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

_BLANK = "0" * 8
_KEY = b'"seal": "'
_CHUNK = 1 << 20
_LONGEST_HEADER = 100_000_000  # as safetensors has it


class BrokenSealError(Exception):
    """A file that is not as it was written."""


def sealed(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """The content of a safetensors file, sealed; the same for the same arguments."""
    return b"".join(sealed_parts(arrays, metadata))


def sealed_parts(
    arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> tuple[bytes | memoryview, ...]:
    """As `sealed`, in parts: a large file is not copied once more to be put together."""
    from safetensors.numpy import save

    content = save(dict(arrays), metadata={**metadata, "seal": _BLANK})
    length = int.from_bytes(content[:8], "little")
    body = memoryview(content)[8 + length :]
    # The library orders the keys of the header at random.
    header = json.dumps(json.loads(content[8 : 8 + length]), sort_keys=True).encode()
    header += b" " * (-len(header) % 8)
    start = len(header).to_bytes(8, "little") + header
    checksum = zlib.crc32(body, zlib.crc32(start))
    place = start.index(_KEY) + len(_KEY)
    return start[:place], b"%08x" % checksum, start[place + 8 :], body


def has_seal(path: Path) -> bool:
    """Whether a safetensors file has a seal; it is checked, in little memory.

    Raises
    ------
    BrokenSealError
        If it has one, and the file is not as it was written.
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        prefix = file.read(8)
        length = int.from_bytes(prefix, "little")
        if len(prefix) < 8 or length > _LONGEST_HEADER:
            raise BrokenSealError("no header")
        header = file.read(length)
        place = header.find(_KEY) + len(_KEY)
        if place < len(_KEY):
            return False
        blank = header[:place] + _BLANK.encode() + header[place + 8 :]
        checksum = zlib.crc32(blank, zlib.crc32(prefix))
        while chunk := file.read(_CHUNK):
            checksum = zlib.crc32(chunk, checksum)
    if header[place : place + 8] != b"%08x" % checksum:
        raise BrokenSealError("its checksum does not fit")
    return True
