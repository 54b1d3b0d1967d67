"""Whether a JPEG without its end marker holds all of its pixels.

A decoder makes up what is missing and goes on, so the picture is decoded several times, with other
bytes behind the end: if all coefficients are there, none of those is looked at. (Several times, as
bytes that are no code are made up for as well.) In a progressive file every coefficient of every
component must have been sent to its last bit as well (T.81, annex G).
"""

from __future__ import annotations

import hashlib
import io

from PIL import Image

from edgetransfer.images import limits

END = b"\xff\xd9"
_PATTERNS = (0x00, 0x55, 0xAA, 0x33, 0x6D, 0x92, 0xDB, 0xF7)
_FRAMES = frozenset([0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA])
_NO_LENGTH = frozenset([0x01, *range(0xD0, 0xD9)])


def is_complete(data: bytes) -> bool:
    """Whether a JPEG that breaks off holds all pixels."""
    if not _all_sent(data):
        return False
    noise = b"".join(hashlib.sha256(bytes([i])).digest() for i in range(64)).replace(b"\xff", b"")
    behind = (noise, *(bytes([byte]) * len(noise) for byte in _PATTERNS))
    nothing = _digest(data + END)
    return all(_digest(data + more + END) == nothing for more in behind)


def _digest(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        limits.check_scans(data, image.width * image.height)
        limits.check(2 * limits.jpeg_bytes_needed(image), image)
        return hashlib.sha256(image.tobytes()).digest()


def _all_sent(data: bytes) -> bool:
    """Whether the scans together send each coefficient to its last bit."""
    lowest: dict[int, list[int]] = {}  # by component: the lowest bit sent of each coefficient
    at = 2
    while at + 4 <= len(data):
        at = data.find(b"\xff", at)
        if at < 0 or at + 4 > len(data):
            break
        marker = data[at + 1]
        if marker in (0x00, 0xFF) or marker in _NO_LENGTH:
            at += 1 if marker == 0xFF else 2
            continue
        if marker == 0xD9:
            break
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        content = data[at + 4 : at + 2 + length]
        if marker in _FRAMES and len(content) >= 6:
            lowest = {component: [99] * 64 for component in content[6::3]}
        elif marker == 0xDA and content:
            count = content[0]
            if len(content) < 4 + 2 * count:
                return False
            first, last, bits = content[1 + 2 * count : 4 + 2 * count]
            for component in content[1 : 1 + 2 * count : 2]:
                for k in range(first, min(last, 63) + 1):
                    if component in lowest:
                        lowest[component][k] = bits & 15
        at += 2 + length
    return bool(lowest) and all(not any(bits) for bits in lowest.values())
