"""PNG files of every colour type, depth and interlacing, written by hand (W3C, third edition)."""

from __future__ import annotations

import struct
import zlib

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PASSES = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)),
    (0, 1, 1, 2),
)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    stored: np.ndarray,
    colour: int,
    bits: int,
    *,
    interlaced: bool = False,
    filters: int = 0,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """A PNG of (H, W, S) stored values; further chunks may stand before and after the pixels."""
    height, width = stored.shape[:2]
    parts = [stored[y::sy, x::sx] for x, y, sx, sy in PASSES] if interlaced else [stored]
    lines = b"".join(_lines(part, bits, filters) for part in parts if part.size)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, int(interlaced))
    pixels = chunk(b"IDAT", zlib.compress(lines))
    return SIGNATURE + chunk(b"IHDR", header) + before + pixels + after + chunk(b"IEND", b"")


def _lines(part: np.ndarray, bits: int, filters: int) -> bytes:
    out = b""
    step = max(1, part.shape[2] * bits // 8)
    above = np.zeros(0, np.int64)
    for row in part:
        if bits == 16:
            line = row.astype(">u2").reshape(-1).view(np.uint8)
        else:
            shifts = (row.reshape(-1, 1).astype(np.int64) >> np.arange(bits)[::-1]) & 1
            line = np.packbits(shifts.reshape(-1).astype(np.uint8))
        line = line.astype(np.int64)
        above = above if len(above) else np.zeros_like(line)
        left = np.concatenate([np.zeros(step, np.int64), line])[: len(line)]
        corner = np.concatenate([np.zeros(step, np.int64), above])[: len(line)]
        away = [abs(left + above - corner - x) for x in (left, above, corner)]
        nearest = np.where(
            (away[0] <= away[1]) & (away[0] <= away[2]),
            left,
            np.where(away[1] <= away[2], above, corner),
        )
        guess = [0 * line, left, above, (left + above) // 2, nearest][filters]
        out += bytes([filters]) + ((line - guess) & 255).astype(np.uint8).tobytes()
        above = line
    return out
