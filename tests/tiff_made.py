"""TIFF files of every layout, written by hand (TIFF 6.0), so that no decoder checks itself."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

COMPRESSIONS = {"none": 1, "lzw": 5, "deflate": 8, "packbits": 32773}
SHORT, LONG = 3, 4
_SIZES = {1: 1, 2: 1, SHORT: 2, LONG: 4, 5: 8, 6: 1, 7: 1, 12: 8, 16: 8}
_LETTERS = {1: "B", 2: "B", SHORT: "H", LONG: "I", 5: "II", 6: "b", 7: "B", 12: "d", 16: "Q"}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a TIFF file holds its samples; the defaults are one 8-bit grey strip."""

    photometric: int = 1
    bits: int = 8
    sample_format: int = 1
    planar: int = 1
    compression: str = "none"
    order: str = "<"
    tile: int = 0
    rows: int = 0
    orientation: int = 0
    predictor: int = 1
    fill_order: int = 1
    extra: tuple[int, ...] = ()
    big: bool = False
    more: dict[int, tuple[int, Sequence[int]]] = field(default_factory=dict)


def tiff(stored: np.ndarray, layout: Layout) -> bytes:
    """A TIFF file of (H, W, S) stored sample values."""
    height, width, count = stored.shape
    planes = [stored] if layout.planar == 1 else [stored[..., i : i + 1] for i in range(count)]
    segments = [_segment(part, layout) for plane in planes for part in _parts(plane, layout)]
    rows = layout.rows or height
    tags: dict[int, tuple[int, Sequence[int]]] = {
        256: (LONG, [width]),
        257: (LONG, [height]),
        258: (SHORT, [layout.bits] * count),
        259: (SHORT, [COMPRESSIONS[layout.compression]]),
        262: (SHORT, [layout.photometric]),
        277: (SHORT, [count]),
        284: (SHORT, [layout.planar]),
    }
    if layout.tile:
        tags |= {322: (SHORT, [layout.tile]), 323: (SHORT, [layout.tile])}
    else:
        tags[278] = (LONG, [rows])
    if layout.sample_format != 1:
        tags[339] = (SHORT, [layout.sample_format] * count)
    if layout.orientation:
        tags[274] = (SHORT, [layout.orientation])
    if layout.predictor != 1:
        tags[317] = (SHORT, [layout.predictor])
    if layout.fill_order != 1:
        tags[266] = (SHORT, [layout.fill_order])
    if layout.extra:
        tags[338] = (SHORT, layout.extra)
    return _file(tags | layout.more, segments, layout)


def _parts(plane: np.ndarray, layout: Layout) -> list[np.ndarray]:
    height, width = plane.shape[:2]
    if not layout.tile:
        rows = layout.rows or height
        return [plane[y : y + rows] for y in range(0, height, rows)]
    side = layout.tile
    padding = ((0, -height % side), (0, -width % side), (0, 0))
    padded = np.pad(plane, padding, mode="edge")
    return [
        padded[y : y + side, x : x + side]
        for y in range(0, padded.shape[0], side)
        for x in range(0, padded.shape[1], side)
    ]


def _segment(part: np.ndarray, layout: Layout) -> bytes:
    rows = [_row(row, layout) for row in part]
    match layout.compression:
        case "lzw":
            packed = _lzw(b"".join(rows))
        case "deflate":
            packed = zlib.compress(b"".join(rows))
        case "packbits":
            packed = b"".join(_packbits(row) for row in rows)
        case _:
            packed = b"".join(rows)
    if layout.fill_order == 2:
        packed = bytes(int(f"{byte:08b}"[::-1], 2) for byte in packed)
    return packed


def _row(row: np.ndarray, layout: Layout) -> bytes:
    """One row of (W, S) samples, packed."""
    if layout.predictor == 2:
        before = np.zeros_like(row)
        before[1:] = row[:-1]
        row = (row.astype(np.int64) - before.astype(np.int64)) & ((1 << layout.bits) - 1)
    if layout.sample_format == 3:
        floats = row.astype(f"{layout.order}f{layout.bits // 8}")
        if layout.predictor != 3:
            return floats.tobytes()
        width, count = row.shape
        big = row.astype(f">f{layout.bits // 8}").view(np.uint8).reshape(width * count, -1)
        planes = np.ascontiguousarray(big.T).reshape(-1, count)
        before = np.zeros_like(planes)
        before[1:] = planes[:-1]
        return (planes - before).tobytes()
    if layout.bits % 8 == 0:
        values = row.astype(np.int64) & ((1 << layout.bits) - 1)
        wide = values.astype(">u8").reshape(-1, 1).view(np.uint8)[:, -(layout.bits // 8) :]
        return (wide if layout.order == ">" else wide[:, ::-1]).tobytes()
    values = row.astype(np.uint32).reshape(-1, 1)
    bits = (values >> np.arange(layout.bits)[::-1]) & 1
    return np.packbits(bits.reshape(-1).astype(np.uint8)).tobytes()


def _packbits(row: bytes) -> bytes:
    chunks = [row[i : i + 128] for i in range(0, len(row), 128)]
    return b"".join(bytes([len(chunk) - 1]) + chunk for chunk in chunks)


def _lzw(data: bytes) -> bytes:
    """Literals alone, with the table cleared before its codes would take ten bits."""
    codes = []
    for i in range(0, len(data), 200):
        codes += [256, *data[i : i + 200]]
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))


def _file(
    tags: dict[int, tuple[int, Sequence[int]]], segments: list[bytes], layout: Layout
) -> bytes:
    """Header, the segments, the values that are too long for their entry, the entries."""
    order, big = layout.order, layout.big
    word, inline = ("Q", 8) if big else ("I", 4)
    mark = b"II" if order == "<" else b"MM"
    header = mark + (struct.pack(order + "HHH", 43, 8, 0) if big else struct.pack(order + "H", 42))
    body = bytearray(header + bytes(inline))
    offsets = []
    for segment in segments:
        body += bytes(len(body) % 2)
        offsets.append(len(body))
        body += segment
    places = (324, 325) if layout.tile else (273, 279)
    tags = tags | {
        places[0]: (LONG, offsets),
        places[1]: (LONG, [len(segment) for segment in segments]),
    }
    entries = b""
    for tag, (kind, values) in sorted(tags.items()):
        letters = _LETTERS[kind]
        data = struct.pack(order + letters * (len(values) // len(letters)), *values)
        count = len(data) // _SIZES[kind]
        if len(data) > inline:
            body += bytes(len(body) % 2)
            place = struct.pack(order + word, len(body))
            body += data
        else:
            place = data.ljust(inline, b"\0")
        entries += struct.pack(order + "HH" + word, tag, kind, count) + place
    body += bytes(len(body) % 2)
    body[len(header) : len(header) + inline] = struct.pack(order + word, len(body))
    body += struct.pack(order + ("Q" if big else "H"), len(tags)) + entries + bytes(inline)
    return bytes(body)
