"""Every colour type, depth, filter and interlacing of PNG, with transparency and without."""

from __future__ import annotations

import itertools
import struct

import numpy as np
import pytest

from edgetransfer.errors import ImageError
from edgetransfer.images import decode_image
from tests.png_made import chunk, png

KINDS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


@pytest.mark.parametrize("colour", KINDS)
@pytest.mark.parametrize("clear", [False, True])
def test_layouts_decode_as_their_samples_say(colour: int, clear: bool) -> None:
    for bits, interlaced, filters, shape in itertools.product(
        KINDS[colour], (False, True), range(5), ((9, 13), (1, 1), (3, 2))
    ):
        rng = np.random.default_rng(filters)
        most = (1 << bits) - 1
        values = rng.integers(0, most + 1, (*shape, CHANNELS[colour]))
        values[0, 0] = most  # or all of it might be taken for 12 bits
        before, alpha = b"", np.ones(shape)
        if colour == 3:
            palette = rng.integers(0, 256, (most + 1, 3)).astype(np.uint8)
            colours, before = (
                palette[values[..., 0]].astype(float),
                chunk(b"PLTE", palette.tobytes()),
            )
            if clear:
                alphas = rng.integers(2, 256, most + 1).astype(np.uint8)
                before, alpha = (
                    before + chunk(b"tRNS", alphas.tobytes()),
                    alphas[values[..., 0]] / 255,
                )
        else:
            grey = np.repeat(values[..., :1], 3, axis=2)
            colours = (grey if colour in (0, 4) else values[..., :3]) / most * 255
            if colour in (4, 6):
                alpha = values[..., -1] / most
            elif clear:
                gone = values[-1, -1].tolist()
                before = chunk(b"tRNS", struct.pack(f">{len(gone)}H", *gone))
                alpha = 1.0 - (values == gone).all(axis=2)
        if alpha.max() <= 1 / 255:
            alpha = np.ones(shape)
        expected = colours * alpha[..., None] + 255 * (1 - alpha[..., None])
        decoded = decode_image(
            png(values, colour, bits, interlaced=interlaced, filters=filters, before=before)
        )
        away = np.abs(decoded - expected).max()
        assert away <= 2, (bits, interlaced, filters, shape, away)


@pytest.mark.parametrize("colour", [0, 2, 6])
def test_twelve_bits_in_sixteen_are_not_black(colour: int) -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 4096, (6, 7, CHANNELS[colour]))
    if colour == 6:
        values[..., 3] = 65535
    decoded = decode_image(png(values, colour, 16))
    expected = np.broadcast_to(values[..., : min(3, CHANNELS[colour])] / 4095 * 255, decoded.shape)
    assert np.abs(decoded - expected).max() <= 1


@pytest.mark.parametrize("colour", [4, 6])
def test_alpha_that_hides_everything_is_not_heeded(colour: int) -> None:
    values = np.random.default_rng(0).integers(0, 256, (6, 7, CHANNELS[colour]))
    for highest in (0, 1):
        values[..., -1] = 0
        values[2, 3, -1] = highest
        expected = np.broadcast_to(values[..., :-1], (6, 7, 3))
        np.testing.assert_array_equal(decode_image(png(values, colour, 8)), expected)


def test_pixels_whose_checksums_fail_are_refused() -> None:
    # Pillow looks at neither checksum.
    values = np.random.default_rng(0).integers(0, 256, (40, 40, 3))
    data = bytearray(png(values, 2, 8))
    at = data.index(b"IDAT") + 4
    length = int.from_bytes(data[at - 8 : at - 4], "big")
    data[at + length] ^= 1  # the chunk's own, with pixels that are whole
    np.testing.assert_array_equal(decode_image(bytes(data)), values)
    for place in range(at + 40, at + length - 4, 997):
        broken = bytearray(data)
        broken[place] ^= 16
        with pytest.raises(ImageError, match="damaged"):
            decode_image(bytes(broken))
