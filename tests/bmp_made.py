"""BMP files of every depth, header and compression, written by hand."""

from __future__ import annotations

import struct

import numpy as np

RAW, RLE8, RLE4, BITFIELDS = 0, 1, 2, 3


def bmp(
    stored: np.ndarray,
    bits: int,
    *,
    palette: np.ndarray | None = None,
    masks: tuple[int, ...] = (),
    compression: int = RAW,
    header: int = 40,
    top_down: bool = False,
) -> bytes:
    """A BMP of (H, W) stored values, each ``bits`` wide.

    Parameters
    ----------
    palette
        (n, 3) RGB.
    masks
        Of red, green, blue and perhaps alpha, with `BITFIELDS`.
    header
        12 (OS/2), 40, 108 (version 4) or 124 bytes.
    """
    height, width = stored.shape
    rows = stored if top_down else stored[::-1]
    match compression:
        case 1:
            pixels = b"".join(_rle8(row) + b"\0\0" for row in rows) + b"\0\1"
        case 2:
            pixels = b"".join(_rle4(row) + b"\0\0" for row in rows) + b"\0\1"
        case _:
            pixels = b"".join(_row(row, bits) for row in rows)
    table = b""
    if palette is not None:
        pad = b"" if header == 12 else b"\0"
        table = b"".join(bytes(colour[::-1].tolist()) + pad for colour in palette)
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack(
            "<IiiHHIIiiII",
            header,
            width,
            -height if top_down else height,
            1,
            bits,
            compression,
            len(pixels),
            2835,
            2835,
            0 if palette is None else len(palette),
            0,
        )
        if header == 40:
            table = struct.pack(f"<{len(masks)}I", *masks) + table
        else:
            info += struct.pack("<4I", *(masks or (0, 0, 0)), *[0] * (4 - max(3, len(masks))))
            info = info.ljust(header, b"\0")
    start = 14 + len(info) + len(table)
    begin = b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start)
    return begin + info + table + pixels


def _row(row: np.ndarray, bits: int) -> bytes:
    if bits >= 8:
        data = row.astype("<u4").reshape(-1, 1).view(np.uint8)[:, : bits // 8].tobytes()
    else:
        data = np.packbits(((row[:, None] >> np.arange(bits)[::-1]) & 1).astype(np.uint8)).tobytes()
    return data + bytes(-len(data) % 4)


def _rle8(row: np.ndarray) -> bytes:
    """Runs of one value; every second chunk of four is written as it is."""
    out = b""
    for i in range(0, len(row), 4):
        part = row[i : i + 4].tolist()
        if i % 8 and len(part) >= 3:
            out += bytes([0, len(part), *part]) + bytes(len(part) % 2)
        else:
            out += b"".join(bytes([1, value]) for value in part)
    return out


def _rle4(row: np.ndarray) -> bytes:
    out = b""
    for i in range(0, len(row), 4):
        part = row[i : i + 4].tolist()
        pairs = [a << 4 | b for a, b in zip(part[::2], [*part[1::2], 0], strict=False)]
        if i % 8 and len(part) >= 3:
            out += bytes([0, len(part), *pairs]) + bytes(len(pairs) % 2)
        else:
            out += b"".join(
                bytes([min(2, len(part) - j), pairs[j // 2]]) for j in range(0, len(part), 2)
            )
    return out
