"""How much an AVIF file would be decoded to, by the coded pictures in it.

The size that a file claims (``ispe``) is only what its pictures are scaled to: one that claims
eight pixels may hold a frame of hundreds of megapixels. ISO/IEC 14496-12 (boxes, items, tracks)
and 23008-12 (pictures).
"""

from __future__ import annotations

from collections.abc import Iterator

from edgetransfer.images.av1_sizes import largest_frame

_PARENTS = (b"moov", b"trak", b"mdia", b"minf")
_BOXES = 10_000  # of a file; a photo has about twenty
_PICTURES = 1_000  # coded ones, the tiles of a picture that is put together of them included
_CODED = b"av01"

Span = tuple[int, int]


def coded_pixels(data: bytes) -> int:
    """Pixels of all coded pictures of a file, and of the first frame of each of its tracks.

    Raises
    ------
    ValueError
        If the file is damaged, or made so that this cannot be told.
    """
    pieces: list[bytes] = []
    for kind, span in _boxes(data, (0, len(data)), [_BOXES]):
        if kind == b"meta":
            pieces += _items(data, (span[0] + 4, span[1]))
        elif kind == b"stbl":
            pieces += _first_sample(data, span)
        if len(pieces) > _PICTURES or sum(map(len, pieces)) > 4 * len(data):
            raise ValueError("too many pictures in one file")
    if not pieces:
        raise ValueError("no AV1 picture in it")
    return sum(map(largest_frame, pieces))


def _boxes(data: bytes, span: Span, left: list[int]) -> Iterator[tuple[bytes, Span]]:
    """The kind and the content of each box, also of those within boxes that hold only boxes.

    What comes behind the last whole one of the file is not looked at: decoders do not, either.
    """
    at, end = span
    while at + 8 <= end:
        left[0] -= 1
        size, kind, head = _number(data, at, 4), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = _number(data, at + 8, 8), 16
        elif size == 0:
            size = end - at
        if size < head or at + size > end or left[0] < 0:
            if end == len(data) and left[0] >= 0:
                return
            raise ValueError("its boxes are damaged")
        inside = (at + head, at + size)
        yield kind, inside
        if kind in _PARENTS:
            yield from _boxes(data, inside, left)
        at += size


def _number(data: bytes, at: int, size: int) -> int:
    if at + size > len(data):
        raise ValueError("cut off within a box")
    return int.from_bytes(data[at : at + size], "big")


class _Cursor:
    """Reads numbers one after the other."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self.at = at

    def take(self, size: int) -> int:
        self.at += size
        return _number(self._data, self.at - size, size)


def _items(data: bytes, meta: Span) -> list[bytes]:
    """The coded pictures that a meta box tells of."""
    parts = dict(_boxes(data, meta, [_BOXES]))
    if b"iloc" not in parts or b"iinf" not in parts:
        return []
    coded = _coded_items(data, parts[b"iinf"])
    inline = parts.get(b"idat", (0, 0))
    return [piece for item, piece in _located(data, parts[b"iloc"], inline, coded) if item in coded]


def _coded_items(data: bytes, table: Span) -> set[int]:
    """Numbers of the items that are AV1."""
    wide = _number(data, table[0], 1) > 0
    first = table[0] + 4 + (4 if wide else 2)
    found = set()
    for kind, (at, _) in _boxes(data, (first, table[1]), [_BOXES]):
        version = _number(data, at, 1)
        if kind != b"infe" or version < 2:
            continue
        size = 2 if version == 2 else 4
        if data[at + 6 + size : at + 10 + size] == _CODED:
            found.add(_number(data, at + 4, size))
    return found


def _located(
    data: bytes, table: Span, inline: Span, wanted: set[int]
) -> Iterator[tuple[int, bytes]]:
    """Each item's number and bytes, of those that are wanted."""
    version = _number(data, table[0], 1)
    cursor = _Cursor(data, table[0] + 4)
    sizes = cursor.take(2)
    offset_size, length_size, base_size = (sizes >> shift & 15 for shift in (12, 8, 4))
    index_size = sizes & 15 if version else 0
    for _ in range(cursor.take(2 if version < 2 else 4)):
        item = cursor.take(2 if version < 2 else 4)
        method = cursor.take(2) & 15 if version else 0
        cursor.take(2)  # which file: this one
        base = cursor.take(base_size)
        pieces = []
        for _ in range(cursor.take(2)):
            cursor.take(index_size)
            offset, length = base + cursor.take(offset_size), cursor.take(length_size)
            if item in wanted:
                pieces.append(_extent(data, offset, length, inline if method == 1 else None))
        if item in wanted:
            if method > 1 or sum(map(len, pieces)) > len(data):
                raise ValueError("a picture is spread over the file in an unknown way")
            yield item, b"".join(pieces)


def _extent(data: bytes, offset: int, length: int, inline: Span | None) -> bytes:
    first, end = inline or (0, len(data))
    start = first + offset
    stop = end if length == 0 else start + length
    if not first <= start <= stop <= end:
        raise ValueError("a picture lies outside the file")
    return data[start:stop]


def _first_sample(data: bytes, table: Span) -> list[bytes]:
    """The first frame of a track; none of one that is no AV1."""
    parts = dict(_boxes(data, table, [_BOXES]))
    if not {b"stsd", b"stsz"} <= set(parts) or not {b"stco", b"co64"} & set(parts):
        return []
    if data[parts[b"stsd"][0] + 12 : parts[b"stsd"][0] + 16] != _CODED:
        return []
    sizes = parts[b"stsz"][0] + 4
    size = _number(data, sizes, 4) or _number(data, sizes + 8, 4)
    wide = b"co64" in parts
    offset = _number(data, parts[b"co64" if wide else b"stco"][0] + 8, 8 if wide else 4)
    return [_extent(data, offset, size, None)]
