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

import numpy as np
from numpy.typing import NDArray

_BLANK = "0" * 8
_KEY = b'"seal": "'
_CHUNK = 1 << 20
_LONGEST_HEADER = 100_000_000  # as safetensors has it
# By NumPy's names, in the order in which the library lays arrays out: the widest first.
_KINDS = {
    "uint64": "U64",
    "int64": "I64",
    "float64": "F64",
    "float32": "F32",
    "uint32": "U32",
    "int32": "I32",
    "float16": "F16",
    "uint16": "U16",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}


class BrokenSealError(Exception):
    """A file that is not as it was written."""


def sealed(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """The content of a safetensors file, sealed; the same for the same arguments."""
    return b"".join(sealed_parts(arrays, metadata))


def sealed_parts(
    arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> tuple[bytes | memoryview, ...]:
    """As `sealed`, in parts: arrays that are contiguous are not copied to be put together."""
    order = [*_KINDS]
    names = sorted(arrays, key=lambda name: (order.index(arrays[name].dtype.name), name))
    described: dict[str, object] = {"__metadata__": {**metadata, "seal": _BLANK}}
    parts: list[memoryview] = []
    end = 0
    for name in names:
        array = np.ascontiguousarray(arrays[name])
        begin, end = end, end + array.nbytes
        described[name] = {
            "dtype": _KINDS[array.dtype.name],
            "shape": [*arrays[name].shape],
            "data_offsets": [begin, end],
        }
        if array.nbytes:
            little = array.astype(array.dtype.newbyteorder("<"), copy=False)
            parts.append(little.reshape(-1).view(np.uint8).data)
    header = json.dumps(described, sort_keys=True).encode()
    header += b" " * (-len(header) % 8)
    start = len(header).to_bytes(8, "little") + header
    checksum = zlib.crc32(start)
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    place = start.index(_KEY) + len(_KEY)
    return start[:place], b"%08x" % checksum, start[place + 8 :], *parts


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
