"""Every layout of a TIFF file decodes to what its samples say, or is refused by name.

The files are written by hand (tests/tiff_made.py; tifffile 2026.3.3 reads the same samples from
all of them but the 24-bit ones), and what they show is worked out from the samples by NumPy.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from edgetransfer.errors import ImageError
from edgetransfer.images import decode_image
from tests.images_made import UPRIGHT
from tests.tiff_made import Layout, tiff

# Photometric interpretation, samples a pixel, extra samples; -1 for a palette's colours.
COLOURS = [
    *((0, 1, ()), (0, 2, (2,)), (1, 1, ()), (1, 2, (0,)), (1, 2, (1,)), (1, 2, (2,))),
    *((2, 3, ()), (2, 4, ()), (2, 4, (0,)), (2, 4, (1,)), (2, 4, (2,)), (2, 5, (2, 0))),
    *((3, 1, ()), (3, 2, (2,)), (4, 1, ()), (5, 4, ()), (5, 5, (0,)), (5, 5, (2,))),
    *((6, 3, ()), (8, 3, ()), (32803, 1, ()), (34892, 3, ())),
]
SAMPLES = [
    *((1, 1), (2, 1), (4, 1), (8, 1), (8, 2), (10, 1), (12, 1), (14, 1), (16, 1), (16, 2), (16, 3)),
    *((24, 1), (32, 1), (32, 2), (32, 3), (64, 3)),
]
COLOUR_COUNT = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}


# Compression, byte order, (tile, rows a strip), predictor, fill order, orientation.
STORED = [
    stored
    for stored in itertools.product(
        ("none", "lzw", "deflate", "packbits"),
        "<>",
        ((0, 0), (0, 4), (16, 0)),
        (1, 2, 3),
        (1, 2),
        (0, 6),
    )
    if (stored[3] == 1 or stored[0] in ("lzw", "deflate"))
    and (stored[4] == 1 or (stored[3] == 1 and not stored[2][0]))
]


def layouts(chosen: random.Random | None = None) -> Iterator[tuple[int, Layout]]:
    """The table with samples a pixel, or one of each way to store that is chosen."""
    for (colour, count, extra), (bits, kind) in itertools.product(COLOURS, SAMPLES):
        if colour == 3 and (bits > 8 or kind != 1):
            continue
        predictors = (1, 3) if kind == 3 else (1, 2) if bits % 8 == 0 else (1,)
        more = {530: (3, [1, 1])} if colour == 6 else {}
        if colour == 3:
            table = np.random.default_rng(1).integers(0, 65536, 3 << bits)
            more = {320: (3, table.tolist())}
        for planar in (1, 2)[: 1 + (count > 1)]:
            cells = [stored for stored in STORED if stored[3] in predictors]
            for stored in cells if chosen is None else chosen.sample(cells, 1):
                compression, order, (tile, rows), predictor, fill, turn = stored
                yield (
                    count,
                    Layout(
                        photometric=colour,
                        bits=bits,
                        sample_format=kind,
                        planar=planar,
                        compression=compression,
                        order=order,
                        tile=tile,
                        rows=rows,
                        predictor=predictor,
                        fill_order=fill,
                        orientation=turn,
                        extra=extra,
                        more=more,
                    ),
                )


def samples(count: int, layout: Layout) -> np.ndarray:
    """Samples of every value that there is; colours of L*a*b* that sRGB holds."""
    rng = np.random.default_rng(0)
    shape = (9, 13, count)
    if layout.sample_format == 3:
        values = rng.random(shape)
    elif layout.sample_format == 2:
        half = 1 << (layout.bits - 1)
        values = rng.integers(-half, half, shape)
    else:
        values = rng.integers(0, 1 << layout.bits, shape)
    if layout.photometric == 8 and layout.bits == 8:
        values = rng.integers(100, 180, shape)
        values[..., 1:] = (values[..., 1:] - 140) // 4 & 255
    if layout.extra[:1] == (1,):  # stored colours are multiplied by their alpha
        used = COLOUR_COUNT[layout.photometric]
        alpha = values[..., used : used + 1]
        if layout.sample_format == 1:
            values[..., :used] = values[..., :used] * alpha // ((1 << layout.bits) - 1)
        elif layout.sample_format == 3:
            values[..., :used] = values[..., :used] * alpha
    return values


def shown(values: np.ndarray, layout: Layout) -> np.ndarray | None:
    """What the samples look like on white, (H, W, 3) of 0 to 255; None if nobody says."""
    most = (1 << layout.bits) - 1
    scaled = values / most
    if layout.sample_format == 3:
        scaled = values
    elif layout.sample_format == 2:  # the rule of `wide`
        scaled = (values - values.min()) / (values.max() - values.min())
    used = COLOUR_COUNT.get(layout.photometric)
    match layout.photometric:
        case 0 | 1:
            grey = scaled[..., :1] if layout.photometric else 1 - scaled[..., :1]
            colours = np.repeat(grey, 3, axis=2) * 255
        case 2:
            colours = scaled[..., :3] * 255
        case 3:
            table = np.array(layout.more[320][1]).reshape(3, -1).T
            colours = (table[values[..., 0]] // 256).astype(float)
        case 5:
            colours = 255 * (1 - scaled[..., :3]) * (1 - scaled[..., 3:4])
        case 6:
            y, cb, cr = (scaled[..., i] * 255 for i in range(3))
            red, blue = y + 1.402 * (cr - 128), y + 1.772 * (cb - 128)
            green = y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128)
            colours = np.clip(np.stack([red, green, blue], axis=2), 0, 255)
        case 8:
            colours = _of_lab(values)
        case _:
            return None
    assert used is not None
    kind = (layout.extra or ((2,) if values.shape[2] > used else (0,)))[0]
    if kind:
        alpha = scaled[..., used : used + 1]
        colours = colours * (alpha if kind == 2 else 1) + 255 * (1 - alpha)
    return UPRIGHT[layout.orientation or 1](np.clip(colours, 0, 255))


def _of_lab(values: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of D50 to sRGB (IEC 61966-2-1, Bradford's adaptation)."""
    signed = values[..., 1:].astype(np.uint8).view(np.int8).astype(float)
    y = (values[..., 0] * 100 / 255 + 16) / 116
    f = np.stack([y + signed[..., 0] / 500, y, y - signed[..., 1] / 200], axis=2)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * [0.9642, 1, 0.8249]
    matrix = [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
    linear = np.clip(xyz @ np.transpose(matrix), 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def check(count: int, layout: Layout) -> bool:
    """Whether a file of that layout is decoded; what it decodes to is asserted."""
    values = samples(count, layout)
    expected = shown(values, layout)
    try:
        decoded = decode_image(tiff(values, layout))
    except ImageError as error:
        if "TIFF" not in str(error) and "decoder error" not in str(error):
            raise
        return False
    assert expected is not None, layout
    assert decoded.shape == expected.shape, layout
    # Two levels: upper bytes of 16 bits, and alpha that is kept in 8. Premultiplied ones: three.
    away = np.abs(decoded - expected).max()
    assert away <= (3 if layout.extra[:1] == (1,) else 2), (layout, away)
    return True


def test_layouts_decode_as_their_samples_say_or_are_refused() -> None:
    seen = Counter(check(*cell) for cell in layouts(random.Random(0)))
    assert seen[True] > 30


@pytest.mark.slow
def test_the_whole_table() -> None:
    seen = Counter(check(*cell) for cell in layouts())
    assert seen[True] > 4000


@pytest.mark.parametrize(
    ("count", "layout"),
    [
        *((1, Layout(bits=bits)) for bits in (1, 2, 4, 8, 16)),
        (1, Layout(bits=16, photometric=0)),
        (1, Layout(bits=12)),
        (1, Layout(bits=16, order=">", compression="deflate", predictor=2)),
        (1, Layout(bits=32, sample_format=3, order=">", compression="lzw", predictor=3)),
        (3, Layout(photometric=2)),
        (3, Layout(photometric=2, planar=2)),
        (3, Layout(photometric=2, bits=16, tile=16, compression="lzw", predictor=2)),
        (4, Layout(photometric=2, extra=(2,))),
        (4, Layout(photometric=5)),
        (3, Layout(photometric=8)),
        (3, Layout(photometric=2, big=True)),
    ],
)
def test_layouts_that_cameras_and_scanners_write_are_decoded(count: int, layout: Layout) -> None:
    assert check(count, layout)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({530: (3, [2, 2])}, "YCbCr"),
        ({254: (4, [1]), 330: (4, [8])}, "camera raw"),
        ({258: (3, [8, 8, 16])}, "cannot be read"),
    ],
)
def test_what_pillow_would_misread_is_refused(
    changes: dict[int, tuple[int, list[int]]], message: str
) -> None:
    layout = Layout(photometric=6 if 530 in changes else 2, more=changes)
    with pytest.raises(ImageError, match=message):
        decode_image(tiff(samples(3, layout), layout))


def test_grey_without_a_photometric_interpretation_is_refused() -> None:
    # Pillow takes it for white-is-zero, others for black-is-zero.
    data = bytearray(tiff(samples(1, Layout()), Layout()))
    entry = data.index(b"\x06\x01\x03\x00")  # tag 262, SHORT
    data[entry : entry + 2] = (60_000).to_bytes(2, "little")
    with pytest.raises(ImageError, match="unknown colours"):
        decode_image(bytes(data))
