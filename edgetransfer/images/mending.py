"""Files whose damage holds no pixels, put so that a decoder takes them.

What is left out is metadata; what decides a pixel is never touched. A file that ends early is
taken only where all of its pixels are shown to be there.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from edgetransfer.images.jpeg_end import is_complete
from edgetransfer.images.tiff_layout import MARKS, SIZES, Directory, read_directory

PASSED_OVER = "damaged metadata passed over"
NO_END = "the file ends early; all pixels are there"

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_PIXELS = frozenset([b"IHDR", b"PLTE", b"tRNS"])
_PNG_SAID = frozenset([b"eXIf", b"iCCP", b"sRGB"])
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_TIFF_PIXELS = frozenset(
    [
        *(256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323),
        *(324, 325, 332, 338, 339, 347, *range(512, 522), 529, 530, 531, 532),
    ]
)
_TIFF_SAID = frozenset([274, 34675])
_WEBP_SAID = frozenset([b"EXIF", b"ICCP", b"XMP "])
_WEBP_PIXELS = frozenset([b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"])


@dataclass(frozen=True, kw_only=True)
class Mended:
    """A file's bytes, put right, and what was wrong with them."""

    data: bytes
    note: str


def mended(data: bytes) -> Iterator[Mended]:
    """What may be tried instead of a file that does not open, the least changed first."""
    for said in (True, False):  # with orientation and profile, and without
        if data.startswith(_PNG):
            found = _png(data, said)
        elif data.startswith(b"\xff\xd8"):
            found = _jpeg(data, said)
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            found = _webp(data, said)
        elif data[:4] in MARKS:
            found = _tiff(data, said)
        else:
            return
        if found is not None and found.data != data:
            yield found


# PNG (W3C, third edition)


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Kind, content and whether the checksum holds, of each chunk; the last may be cut."""
    at = len(_PNG)
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        checksum = data[at + 8 + length : at + 12 + length]
        yield kind, content, zlib.crc32(content, zlib.crc32(kind)).to_bytes(4, "big") == checksum
        at += 12 + length


def png_pixels_damaged(data: bytes) -> bool:
    """Whether a chunk of pixels fails its checksum, and they do not all come out of it either."""
    chunks = [(c, sound) for kind, c, sound in png_chunks(data) if kind == b"IDAT"]
    if all(sound for _, sound in chunks):
        return False
    header = next((content for kind, content, _ in png_chunks(data) if kind == b"IHDR"), b"")
    if len(header) != 13:
        return True
    size = _png_bytes(header)
    produced, _ = _inflated([content for content, _ in chunks], size)
    return produced is None or produced < size


def _png(data: bytes, said: bool) -> Mended | None:
    kept: list[bytes] = []
    pixels: list[bytes] = []
    header = b""
    for kind, content, sound in png_chunks(data):
        if kind == b"IHDR" and sound:
            header = content
        if kind == b"IDAT":
            pixels.append(content)
        elif not pixels and (kind in _PNG_PIXELS or (said and kind in _PNG_SAID and sound)):
            kept.append(_png_chunk(kind, content))
    if len(header) != 13:
        return None
    size = _png_bytes(header)
    produced, ended = _inflated(pixels, size)
    if produced is None or produced < size:
        return None
    whole = [*kept, _png_chunk(b"IDAT", b"".join(pixels)), _png_chunk(b"IEND", b"")]
    early = not ended or data[-8:-4] != b"IEND"
    return Mended(data=_PNG + b"".join(whole), note=NO_END if early else PASSED_OVER)


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    length = len(content).to_bytes(4, "big")
    return length + kind + content + zlib.crc32(content, zlib.crc32(kind)).to_bytes(4, "big")


def _inflated(parts: list[bytes], size: int) -> tuple[int | None, bool]:
    """How many bytes come out (None: it is damaged), and whether the end and its sum were met.

    No more is made than ``size`` and a little.
    """
    inflate, produced = zlib.decompressobj(), 0
    try:
        for part in parts:
            rest = part
            while rest and not inflate.eof and produced <= size:
                produced += len(inflate.decompress(rest, 1 << 20))
                rest = inflate.unconsumed_tail
    except zlib.error:
        return None, False
    return produced, inflate.eof


def _png_bytes(header: bytes) -> int:
    """The size of a PNG's lines with their filter bytes."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    bits = depth * _CHANNELS.get(colour, 4)
    passes = (*_PASSES, (0, 1, 1, 2)) if interlaced else ((0, 0, 1, 1),)
    total = 0
    for x, y, step_x, step_y in passes:
        columns, rows = -(-(width - x) // step_x), -(-(height - y) // step_y)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * bits // 8))
    return total


# JPEG (ITU-T T.81)


def _jpeg(data: bytes, said: bool) -> Mended | None:
    kept = bytearray(b"\xff\xd8")
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF or data[at + 1] in (0xFF, 0x00):
            at += 1
            continue
        marker = data[at + 1]
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            kept += data[at:]
            break
        after = at + 2 + length
        if 0xE0 <= marker <= 0xEF or marker == 0xFE:
            sound = data[after : after + 1] == b"\xff"
            if sound and _jpeg_kept(marker, data[at + 4 : after], said):
                kept += data[at:after]
            at = after if sound else _next_table(data, at + 4)
            continue
        kept += data[at:after]
        at = after
    else:
        return None
    end = data.rfind(b"\xff\xd9", at)
    if end >= 0 and not data[end + 2 :].strip(b"\0"):
        return Mended(data=bytes(kept), note=PASSED_OVER)
    whole = bytes(kept).rstrip(b"\xff")
    return Mended(data=whole + b"\xff\xd9", note=NO_END) if is_complete(whole) else None


def _jpeg_kept(marker: int, content: bytes, said: bool) -> bool:
    """Whether a decoder needs an application's segment."""
    if marker == 0xE0 and content.startswith(b"JFIF\0"):
        return len(content) >= 14
    if marker == 0xEE and content.startswith(b"Adobe"):
        return len(content) >= 12
    return said and content.startswith((b"Exif\0", b"ICC_PROFILE\0"))


def _next_table(data: bytes, at: int) -> int:
    """Where the tables or the frame begin, behind a segment that lies about its length."""
    found = [data.find(bytes([0xFF, marker]), at) for marker in (0xDB, 0xC4, 0xC0, 0xC2, 0xDD)]
    return min((place for place in found if place >= 0), default=len(data))


# WebP (RFC 9649)


def _webp(data: bytes, said: bool) -> Mended | None:
    at, kept = 12, b""
    while at + 8 <= len(data):
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        content = data[at + 8 : at + 8 + length]
        if (
            kind == b"VP8X" and length == 10 and not said
        ):  # without the flags of profile, EXIF and XMP
            content = bytes([content[0] & ~0b101100]) + content[1:]
        if kind in _WEBP_PIXELS or kind == b"VP8X" or (said and kind in _WEBP_SAID):
            if len(content) < length:
                return None
            kept += kind + data[at + 4 : at + 8] + content + b"\0" * (length % 2)
        at += 8 + length + length % 2
    whole = b"RIFF" + (4 + len(kept)).to_bytes(4, "little") + b"WEBP" + kept
    return Mended(data=whole, note=PASSED_OVER) if kept else None


# TIFF


def _tiff(data: bytes, said: bool) -> Mended | None:
    """The file with a directory of its own at its end, of the tags that pixels need."""
    directory = read_directory(data)
    if directory is None or not _tiff_is_whole(directory, data):
        return None
    order, big = directory.order, directory.big
    word = "Q" if big else "I"
    inline = 8 if big else 4
    wanted = _TIFF_PIXELS | (_TIFF_SAID if said else frozenset())
    entries = b""
    count = 0
    for tag, entry in sorted(directory.entries.items()):
        if tag not in wanted:
            continue
        size = SIZES[entry.kind] * entry.count
        place = (
            data[entry.place : entry.place + size].ljust(inline, b"\0")
            if size <= inline
            else struct.pack(order + word, entry.place)
        )
        entries += struct.pack(order + "HH" + word, tag, entry.kind, entry.count) + place
        count += 1
    padded = data + bytes(len(data) % 2)
    head = 8 if big else 4
    start = struct.pack(order + word, len(padded))
    return Mended(
        data=padded[:head]
        + start
        + padded[head + inline :]
        + struct.pack(order + ("Q" if big else "H"), count)
        + entries
        + bytes(inline),
        note=PASSED_OVER,
    )


def _tiff_is_whole(directory: Directory, data: bytes) -> bool:
    """Whether all strips or tiles lie within the file, and hold as much as they must."""
    offsets = directory.values(data, 273) or directory.values(data, 324)
    counts = directory.values(data, 279) or directory.values(data, 325)
    if not offsets or len(offsets) != len(counts):
        return False
    if any(start + size > len(data) for start, size in zip(offsets, counts, strict=True)):
        return False
    (width, *_), (height, *_) = (directory.values(data, tag) or (0,) for tag in (256, 257))
    samples = (directory.values(data, 277, 1) or (1,))[0]
    bits = (directory.values(data, 258, 1) or (1,))[0]
    plain = (directory.values(data, 259, 1) or (1,))[0] == 1
    return not plain or sum(counts) >= width * height * samples * bits // 8
