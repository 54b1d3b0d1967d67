"""Files of millions of small pieces, told before a decoder walks over each of them.

Pillow reads markers of a JPEG, chunks of a PNG and blocks of a GIF one by one, in Python: a
megabyte of empty ones takes a second, and every other thread waits. A photo has some dozens,
and with profiles and a maker's data some hundreds; chunks of pixels have kilobytes each.
"""

from __future__ import annotations

import re
from typing import Literal

from edgetransfer.errors import ImageError

MOST = 5_000
PIXELS_EACH = 1024  # bytes of a PNG for each further chunk
MOST_EXIF = 100  # Pillow joins them one after the other
MOST_FILLED = 100_000  # bytes between a JPEG's markers that belong to none
_PNG = b"\x89PNG\r\n\x1a\n"
_FILLED = re.compile(rb"[^\xff]*\xff+", re.DOTALL)
_ALONE = frozenset([0x00, 0x01, *range(0xD0, 0xD9)])  # markers without a length
_SCAN = 0xDA
_EXIF = 0xE1


def check_pieces(data: bytes) -> None:
    """Refuse what would take minutes to look through.

    Raises
    ------
    ImageError
        If it has more pieces than any photo.
    """
    if data.startswith(b"\xff\xd8"):
        _check_jpeg(data)
    elif data.startswith(_PNG):
        _check_chunks(data, len(_PNG), 4, "big", 12)
    elif data[:4] == b"RIFF":
        _check_chunks(data, 12, 8, "little", 8)
    elif data.startswith((b"GIF87a", b"GIF89a")):
        _check_gif(data)


def _refuse(what: str) -> ImageError:
    return ImageError(f"{what}: no photo has as many; save it anew with another program")


def _check_jpeg(data: bytes) -> None:
    """Markers up to the first scan."""
    place, count, exif, filled = 2, 0, 0, 0
    while found := _FILLED.match(data, place):
        filled += found.end() - place - 1
        if filled > MOST_FILLED:
            raise _refuse(f"more than {MOST_FILLED} bytes between its markers")
        place = found.end()
        kind = data[place] if place < len(data) else _SCAN
        if kind == _SCAN:
            return
        count, exif = count + 1, exif + (kind == _EXIF)
        if count > MOST or exif > MOST_EXIF:
            raise _refuse(f"more than {MOST} markers, or {MOST_EXIF} with Exif")
        place += 1
        if kind not in _ALONE:
            place += max(int.from_bytes(data[place : place + 2], "big"), 2)


def _check_chunks(
    data: bytes, place: int, length_ends: int, order: Literal["big", "little"], around: int
) -> None:
    """Chunks to the end of a file: each has its length in four bytes, up to ``length_ends``."""
    left = MOST + len(data) // PIXELS_EACH
    while place + around <= len(data):
        left -= 1
        if left < 0:
            raise _refuse(f"more than {MOST} small chunks")
        length = data[place + length_ends - 4 : place + length_ends]
        size = int.from_bytes(length, order)
        place += around + size + (size % 2 if order == "little" else 0)


def _check_gif(data: bytes) -> None:
    """Blocks up to the first picture; what belongs to none is passed over byte by byte."""
    place, left = 13 + _palette(data, 10), MOST
    while place < len(data) and data[place] not in b",;":
        if data[place] == ord("!"):
            place += 2
            while place < len(data) and data[place]:
                place += 1 + data[place]
                left -= 1
                if left < 0:
                    break
        place += 1
        left -= 1
        if left < 0:
            raise _refuse(f"more than {MOST} blocks before its picture")


def _palette(data: bytes, at: int) -> int:
    flags = data[at] if at < len(data) else 0
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0
