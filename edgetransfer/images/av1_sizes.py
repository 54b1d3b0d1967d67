"""How large AV1 frames are, by their own headers: a container may claim any other size.

Read as far as the sizes go: AV1 Bitstream & Decoding Process Specification, version 1.0.0 with
errata 1, sections 5.3 (open bitstream units), 5.5 (sequence header) and 5.9 (frame header).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_SEQUENCE, _FRAME_HEADER, _FRAME = 1, 3, 6
_KEY, _SWITCH = 0, 3
_SELECT = 2  # a choice that each frame makes anew


class _Bits:
    """Reads numbers off the front of bytes, highest bit first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise ValueError("an AV1 header is cut off")
        return self._value >> self._left & ((1 << count) - 1)

    def flag(self) -> bool:
        return self.take(1) == 1

    def skip_uvlc(self) -> None:
        zeros = 0
        while zeros < 32 and not self.flag():
            zeros += 1
        self.take(zeros)


@dataclass(frozen=True, kw_only=True)
class _Sequence:
    """What is needed of a sequence header to tell the sizes of its frames.

    Parameters
    ----------
    pixels
        Of a frame that says nothing else.
    most
        Of one that has a size of its own.
    still
        Whether none can.
    timed
        Bits of a frame's time of presentation; 0 for none.
    id_bits
        Of a frame's number; 0 for none.
    screen, integer
        Whether frames choose, or a choice for all.
    """

    pixels: int
    most: int
    still: bool
    timed: int
    id_bits: int
    screen: int
    integer: int


def largest_frame(data: bytes) -> int:
    """Pixels of the largest frame in AV1 data that begins with a sequence header.

    Raises
    ------
    ValueError
        If there is none, or it is cut off.
    """
    sequence: _Sequence | None = None
    largest = 0
    for kind, payload in _units(data):
        if kind == _SEQUENCE:
            sequence = _sequence(_Bits(payload[:512]))
        elif kind in (_FRAME, _FRAME_HEADER):
            if sequence is None:
                raise ValueError("an AV1 frame comes before its sequence header")
            own = not sequence.still and _has_own_size(_Bits(payload[:64]), sequence)
            largest = max(largest, sequence.most if own else sequence.pixels)
    if sequence is None:
        raise ValueError("no AV1 sequence header")
    return max(largest, sequence.pixels)


def _units(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The kind and the payload's beginning of each open bitstream unit."""
    at = 0
    while at < len(data):
        head = data[at]
        at += 1 + (head >> 2 & 1)
        size = len(data) - at
        if head & 2:
            size, at = _leb128(data, at)
        if head & 0x80 or size < 0 or at + size > len(data):
            raise ValueError("an AV1 unit is cut off")
        yield head >> 3 & 15, data[at : at + min(size, 512)]
        at += size


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for i, byte in enumerate(data[at : at + 8]):
        value |= (byte & 0x7F) << 7 * i
        if not byte & 0x80:
            return value, at + i + 1
    raise ValueError("an AV1 unit has no size")


def _sequence(bits: _Bits) -> _Sequence:
    bits.take(3 + 1)  # profile; whether it is one picture
    still = bits.flag()
    timed = 0
    if still:
        bits.take(5)
    else:
        timed = _skip_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    pixels = (bits.take(width_bits) + 1) * (bits.take(height_bits) + 1)
    id_bits = bits.take(4) + 2 + bits.take(3) + 1 if not still and bits.flag() else 0
    bits.take(3)
    screen = integer = _SELECT
    if not still:
        bits.take(4)
        if bits.flag():
            bits.take(2)
        screen = _SELECT if bits.flag() else bits.take(1)
        if screen:
            integer = _SELECT if bits.flag() else bits.take(1)
    return _Sequence(
        pixels=pixels,
        most=1 << width_bits + height_bits,
        still=still,
        timed=timed,
        id_bits=id_bits,
        screen=screen,
        integer=integer,
    )


def _skip_operating_points(bits: _Bits) -> int:
    """Pass over times and operating points; returns bits of a frame's time of presentation."""
    equal = model = False
    delay_bits = time_bits = 0
    if bits.flag():  # timing
        bits.take(64)
        if equal := bits.flag():
            bits.skip_uvlc()
        if model := bits.flag():
            delay_bits = bits.take(5) + 1
            bits.take(32 + 5)
            time_bits = bits.take(5) + 1
    delays = bits.flag()
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if model and bits.flag():
            bits.take(2 * delay_bits + 1)
        if delays and bits.flag():
            bits.take(4)
    return time_bits if model and not equal else 0


def _has_own_size(bits: _Bits, sequence: _Sequence) -> bool:
    """Whether a frame may be of another size than its sequence says."""
    if bits.flag():  # one that was decoded before is shown
        return False
    kind, shown = bits.take(2), bits.flag()
    if kind == _SWITCH:
        return True
    if shown:
        bits.take(sequence.timed)
    else:
        bits.take(1)
    if not (kind == _KEY and shown):
        bits.take(1)
    bits.take(1)
    screen = bits.take(1) if sequence.screen == _SELECT else sequence.screen
    if screen and sequence.integer == _SELECT:
        bits.take(1)
    bits.take(sequence.id_bits)
    return bits.flag()
