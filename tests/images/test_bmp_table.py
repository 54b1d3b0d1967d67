"""Every header, depth, mask and compression of BMP decodes as it says, or is refused."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from edgetransfer.errors import ImageError
from edgetransfer.images import decode_image
from tests.bmp_made import BITFIELDS, RAW, RLE4, RLE8, bmp

X888 = (0xFF0000, 0xFF00, 0xFF)
X555 = (0x7C00, 0x3E0, 0x1F)
MASKS: dict[int, list[tuple[int, ...]]] = {
    16: [(0xF800, 0x7E0, 0x1F), X555, (*X555, 0x8000), (0xF00, 0xF0, 0xF, 0xF000)],
    24: [X888],
    32: [
        X888,
        (*X888, 0xFF000000),
        (0xFF, 0xFF00, 0xFF0000),
        (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
        (0xFF000000, 0xFF0000, 0xFF00),
        (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
        (0x3FF00000, 0xFFC00, 0x3FF),
    ],
}


def by_masks(values: np.ndarray, masks: tuple[int, ...]) -> np.ndarray:
    """What fields of a pixel's bits look like on white."""
    fields = [(values & m) // (m & -m) / (m // (m & -m)) for m in masks]
    colours = np.stack(fields[:3], axis=2) * 255
    if len(fields) < 4 or fields[3].max() <= 1 / 255:
        return colours
    return colours * fields[3][..., None] + 255 * (1 - fields[3][..., None])


def files(
    shape: tuple[int, int], header: int, top_down: bool
) -> Iterator[tuple[bytes, np.ndarray]]:
    rng = np.random.default_rng(0)
    form = {"header": header, "top_down": top_down}
    for bits in (1, 4, 8):
        for colours in (1 << bits, (1 << bits) // 2 + 1):
            if header == 12 and colours < 1 << bits:
                continue
            palette = rng.integers(0, 256, (colours, 3)).astype(np.uint8)
            values = rng.integers(0, colours, shape)
            packed = {8: RLE8, 4: RLE4}.get(bits, RAW)
            for compression in {RAW, packed if header > 12 and not top_down else RAW}:
                data = bmp(values, bits, palette=palette, compression=compression, **form)
                yield data, palette[values].astype(float)
    values = rng.integers(0, 1 << 24, shape)
    yield bmp(values, 24, **form), by_masks(values, X888)
    if header == 12:
        return
    yield bmp(values & 0xFFFF, 16, **form), by_masks(values & 0xFFFF, X555)
    values = rng.integers(0, 1 << 32, shape)
    yield bmp(values, 32, **form), by_masks(values, X888)
    for bits, choices in MASKS.items():
        for masks in choices:
            if header > 40 or len(masks) == 3:
                fields = values & ((1 << bits) - 1)
                data = bmp(fields, bits, masks=masks, compression=BITFIELDS, **form)
                yield data, by_masks(fields, masks)


@pytest.mark.parametrize("shape", [(9, 13), (1, 1), (5, 8)])
def test_layouts_decode_as_they_say_or_are_refused(shape: tuple[int, int]) -> None:
    seen: Counter[bool] = Counter()
    for header, top_down in itertools.product((12, 40, 108, 124), (False, True)):
        if header == 12 and top_down:
            continue
        for data, expected in files(shape, header, top_down):
            try:
                decoded = decode_image(data)
            except ImageError:
                seen[False] += 1
                continue
            seen[True] += 1
            assert np.abs(decoded - expected).max() <= 2, (header, top_down, data[:66].hex())
    assert seen[True] > 4 * seen[False]


@pytest.mark.parametrize("masks", [(*X888, 0xFF000000), (0xFF, 0xFF00, 0xFF0000, 0xFF000000)])
def test_alpha_that_is_zero_everywhere_is_not_heeded(masks: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).integers(0, 1 << 24, (9, 13))
    data = bmp(values, 32, masks=masks, compression=BITFIELDS, header=124)
    np.testing.assert_array_equal(decode_image(data), by_masks(values, masks[:3]))


def test_a_run_length_coded_bomb_is_refused() -> None:
    values = np.zeros((1, 1), np.int64)
    data = bytearray(bmp(values, 8, palette=np.zeros((2, 3), np.uint8), compression=RLE8))
    data[18:26] = (9000).to_bytes(4, "little") * 2
    with pytest.raises(ImageError, match="run-length"):
        decode_image(bytes(data))
