"""Sizes of AV1 frames, whatever the file around them claims."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgetransfer.errors import ImageError
from edgetransfer.images import limits, open_upright
from edgetransfer.images.av1_sizes import largest_frame
from edgetransfer.images.avif_boxes import coded_pixels
from edgetransfer.images.decoding import AVIF

avif = pytest.mark.skipif(not AVIF, reason="this Pillow has no AVIF")


class Bits:
    """Writes numbers one behind the other, highest bit first."""

    def __init__(self) -> None:
        self.text = ""

    def put(self, *fields: tuple[int, int]) -> None:
        """Append (value, bits) pairs."""
        self.text += "".join(f"{value:0{bits}b}" if bits else "" for value, bits in fields)

    def unit(self, kind: int, *, sized: bool = True, extended: bool = False) -> bytes:
        """What was written as the payload of a unit."""
        text = self.text + "1"
        text += "0" * (-len(text) % 8)
        payload = int(text, 2).to_bytes(len(text) // 8, "big")
        head = bytes([kind << 3 | extended << 2 | sized << 1]) + b"\0" * extended
        size, rest = b"", len(payload)
        while sized:
            size += bytes([rest & 0x7F | (0x80 if rest >> 7 else 0)])
            rest >>= 7
            if not rest:
                break
        return head + size + payload


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, int]:
    """AV1 data of any options, as far as a frame's size; and how many pixels it may take."""

    def number(bits: int) -> int:
        return draw(st.integers(0, 2**bits - 1)) if bits else 0

    def flag() -> bool:
        return draw(st.booleans())

    width, height = draw(st.integers(1, 65536)), draw(st.integers(1, 65536))
    width_bits = max(1, (width - 1).bit_length()) if flag() else 16
    height_bits = max(1, (height - 1).bit_length()) if flag() else 16
    still, timing = flag(), flag()
    equal = model = False
    delay_bits = time_bits = 0
    bits = Bits()
    bits.put((number(3), 3), (1, 1), (still, 1))
    if still:
        bits.put((number(5), 5))
    else:
        bits.put((timing, 1))
        if timing:
            equal, model = flag(), flag()
            bits.put((number(64), 64), (equal, 1))
            if equal:
                zeros = draw(st.integers(0, 5))
                bits.put((0, zeros), (1, 1), (number(zeros), zeros))
            bits.put((model, 1))
            if model:
                delay_bits, time_bits = 1 + number(5), 1 + number(5)
                bits.put((delay_bits - 1, 5), (number(32), 32), (number(5), 5), (time_bits - 1, 5))
        delays = flag()
        points = draw(st.integers(1, 4))
        bits.put((delays, 1), (points - 1, 5))
        for _ in range(points):
            level = number(5)
            bits.put((number(12), 12), (level, 5))
            if level > 7:
                bits.put((number(1), 1))
            if model:
                there = flag()
                bits.put((there, 1))
                if there:
                    bits.put((number(delay_bits), delay_bits), (number(delay_bits), delay_bits))
                    bits.put((number(1), 1))
            if delays:
                there = flag()
                bits.put((there, 1))
                if there:
                    bits.put((number(4), 4))
    bits.put((width_bits - 1, 4), (height_bits - 1, 4))
    bits.put((width - 1, width_bits), (height - 1, height_bits))
    id_bits = 0
    if not still:
        numbered = flag()
        bits.put((numbered, 1))
        if numbered:
            delta, more = number(4), number(3)
            id_bits = delta + 2 + more + 1
            bits.put((delta, 4), (more, 3))
    bits.put((number(3), 3))
    screen = integer = 2
    if not still:
        ordered = flag()
        bits.put((number(4), 4), (ordered, 1))
        if ordered:
            bits.put((number(2), 2))
        for which in ("screen", "integer"):
            if which == "integer" and not screen:
                break
            each = flag()
            value = 2 if each else number(1)
            bits.put((each, 1)) if each else bits.put((0, 1), (value, 1))
            screen, integer = (value, integer) if which == "screen" else (screen, value)
    data = bits.unit(1, extended=flag())
    own = False
    if flag():
        frame = Bits()
        if still:
            frame.put((number(16), 16))
        else:
            own = flag()
            kind, shown = draw(st.integers(0, 2)), flag()
            frame.put((0, 1), (kind, 2), (shown, 1))
            if shown and model and not equal:
                frame.put((number(time_bits), time_bits))
            if not shown:
                frame.put((number(1), 1))
            if not (kind == 0 and shown):
                frame.put((number(1), 1))
            frame.put((number(1), 1))
            allowed = number(1) if screen == 2 else screen
            if screen == 2:
                frame.put((allowed, 1))
            if allowed and integer == 2:
                frame.put((number(1), 1))
            frame.put((number(id_bits), id_bits), (own, 1))
        data += frame.unit(draw(st.sampled_from([3, 6])), sized=flag())
    return data, 1 << width_bits + height_bits if own else width * height


@given(streams())
def test_the_size_of_a_frame(stream: tuple[bytes, int]) -> None:
    data, pixels = stream
    assert largest_frame(data) == max(pixels, 1)


@given(streams(), st.data())
def test_what_is_cut_off_or_changed_is_told_or_refused(
    stream: tuple[bytes, int], data: st.DataObject
) -> None:
    content = bytearray(stream[0][: data.draw(st.integers(0, len(stream[0])))])
    if content:
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    said = ""
    try:
        pixels = largest_frame(bytes(content))
    except ValueError as error:
        pixels, said = 0, str(error)
    assert (pixels > 0) != ("AV1" in said)


def saved(size: tuple[int, int], mode: str = "RGB", frames: int = 1) -> bytes:
    buffer = io.BytesIO()
    images = [Image.new(mode, size, (20 + 40 * i,) * len(mode)) for i in range(frames)]
    images[0].save(buffer, "AVIF", speed=10, save_all=frames > 1, append_images=images[1:])
    return buffer.getvalue()


@avif
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("size", [(1, 1), (33, 17), (96, 64)])
@pytest.mark.parametrize("frames", [1, 3])
def test_files_as_encoders_write_them(size: tuple[int, int], mode: str, frames: int) -> None:
    data = saved(size, mode, frames)
    # An alpha plane is a picture of its own, and so is the first frame of an animation.
    times = (1 + (mode == "RGBA")) * (1 + (frames > 1))
    assert coded_pixels(data) == times * size[0] * size[1]
    assert coded_pixels(data + bytes(7)) == coded_pixels(data)
    assert open_upright(data).size == size


def claiming(data: bytes, size: tuple[int, int], claimed: tuple[int, int]) -> bytes:
    old, new = (b"ispe\0\0\0\0" + struct.pack(">II", *s) for s in (size, claimed))
    assert old in data
    return data.replace(old, new)


@avif
def test_a_frame_that_is_larger_than_its_file_claims_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = claiming(saved((96, 64)), (96, 64), (8, 8))
    monkeypatch.setattr(limits, "PHOTO_BYTES", 96 * 64 * 6)
    assert open_upright(data).size == (8, 8)
    monkeypatch.setattr(limits, "PHOTO_BYTES", 96 * 64 * 6 - 1)
    with pytest.raises(ImageError, match="its frames hold 0 megapixels"):
        open_upright(data)


@avif
def test_no_change_of_a_byte_gets_larger_frames_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """Boxes of any kind: what is decoded was measured before, or is refused."""
    from PIL import AvifImagePlugin

    data = claiming(saved((96, 64), "RGBA"), (96, 64), (8, 8))
    monkeypatch.setattr(limits, "PHOTO_BYTES", 96 * 64 * 6 - 1)
    decoded = []
    load = AvifImagePlugin.AvifImageFile.load
    monkeypatch.setattr(
        AvifImagePlugin.AvifImageFile, "load", lambda self: decoded.append(self.size) or load(self)
    )
    for at in range(0, min(len(data), 900), 3):
        for bit in (0, 3, 7):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            with pytest.raises(ImageError):
                open_upright(bytes(changed))
    assert decoded == []
