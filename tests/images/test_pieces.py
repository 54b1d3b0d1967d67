"""Files of very many small pieces are refused before a decoder walks over each of them."""

from __future__ import annotations

import struct
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgetransfer.errors import ImageError
from edgetransfer.images import decode_image
from edgetransfer.images.pieces import MOST, MOST_EXIF, check_pieces
from tests.images_made import encode, noise_pixels
from tests.png_made import SIGNATURE, chunk

SIZE = 4_000_000
PICTURE = Image.fromarray(noise_pixels(8, 8))
JPEG, PNG, GIF = (encode(PICTURE, kind) for kind in ("JPEG", "PNG", "GIF"))
FIRST_PIXELS = PNG.index(b"IDAT") - 4
FIRST_FRAME = 13 + 3 * 2 ** ((GIF[10] & 7) + 1)


def jpeg(part: bytes) -> bytes:
    return JPEG[:2] + part + JPEG[2:]


def png(part: bytes, *, behind: bool = False) -> bytes:
    at = len(PNG) - 12 if behind else FIRST_PIXELS
    return PNG[:at] + part + PNG[at:]


def gif(part: bytes) -> bytes:
    return GIF[:FIRST_FRAME] + part + GIF[FIRST_FRAME:]


def often(part: bytes) -> bytes:
    return part * (SIZE // len(part))


MANY: dict[str, bytes] = {
    "fill bytes": jpeg(often(b"\xff")),
    "bytes of no marker": jpeg(often(b"a")),
    "padding": jpeg(often(b"\xff\x00")),
    "restarts": jpeg(often(b"\xff\xd0")),
    "empty segments": jpeg(often(b"\xff\xe5\x00\x02")),
    "comments": jpeg(often(b"\xff\xfe\x00\x03a")),
    "Exif": jpeg(often(b"\xff\xe1\x02\x08Exif\0\0" + bytes(512))),
    "profiles": jpeg(often(b"\xff\xe2\x00\x10ICC_PROFILE\0\x01\x01")),
    "chunks": png(often(chunk(b"teSt", b""))),
    "texts": png(often(chunk(b"tEXt", b"a\0b"))),
    "empty pixels": png(often(chunk(b"IDAT", b""))),
    "chunks behind": png(often(chunk(b"teSt", b"")), behind=True),
    "blocks of a comment": gif(b"\x21\xfe" + often(b"\xff" + bytes(range(255))) + b"\0"),
    "short blocks": gif(b"\x21\xff" + often(b"\x01a") + b"\0"),
    "extensions": gif(often(b"\x21\xff\x01a\0")),
    "bytes of no block": gif(often(b"\0")),
    "parts of RIFF": b"RIFF" + struct.pack("<I", SIZE) + b"WEBP" + often(b"abcd\0\0\0\0"),
    "boxes": b"\0\0\0\x18ftypavif\0\0\0\0avifmif1" + often(b"\0\0\0\x08free"),
}


@pytest.mark.parametrize("name", MANY)
def test_many_pieces_take_no_time(name: str) -> None:
    """As they are, each would take 0.3 to 5 seconds, and in a file of 256 MiB minutes."""
    start = time.process_time()
    with pytest.raises(ImageError):
        decode_image(MANY[name])
    assert time.process_time() - start < 0.3


FEWER: dict[str, bytes] = {
    "segments": jpeg(b"\xff\xed\x00\x12Photoshop 3.0\0ab" * (MOST - 100)),
    "Exif": jpeg(b"\xff\xe1\x00\x09Exif\0\0a" * MOST_EXIF),
    "fill bytes": jpeg(b"\xff" * 50_000),
    "chunks": png(chunk(b"teSt", b"") * (MOST - 10)),
    "chunks of a kibibyte": png(chunk(b"teSt", bytes(1024)) * 3 * MOST),
    "blocks": gif(b"\x21\xff" + (b"\xff" + bytes(255)) * (MOST - 10) + b"\0"),
}


@pytest.mark.parametrize("name", FEWER)
def test_as_many_as_a_photo_may_have_are_read(name: str) -> None:
    plain = JPEG if FEWER[name][:2] == JPEG[:2] else PNG if FEWER[name][:4] == PNG[:4] else GIF
    np.testing.assert_array_equal(decode_image(FEWER[name]), decode_image(plain))


@given(
    st.sampled_from([JPEG[:2], SIGNATURE, GIF[:13], b"RIFF\0\0\0\0WEBP", b"GIF89a", b""]),
    st.binary(max_size=300) | st.sampled_from([JPEG[2:], PNG[8:], GIF[13:]]),
    st.integers(0, 300),
)
def test_whatever_is_in_a_short_file_it_is_let_through(begin: bytes, rest: bytes, cut: int) -> None:
    check_pieces((begin + rest)[: len(begin) + cut])
