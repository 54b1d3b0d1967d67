"""The stated rule for grey values wider than 8 bits."""

from __future__ import annotations

import numpy as np
import pytest

from edgetransfer.images import decode_image
from edgetransfer.images.wide import grey_of_wide
from tests.images_made import encode
from tests.tiff_made import Layout, tiff


def grey(values: np.ndarray, **said: object) -> np.ndarray:
    return np.asarray(grey_of_wide(values, **said))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("highest", "kind", "white"),
    [
        (255, "u2", 4095),
        (4095, "u2", 4095),
        (4096, "u2", 65535),
        (4095, "i2", 4095),
        (32767, "i2", 65535),
        (255, "u4", 255),
        (256, "u4", 4095),
        (65535, "u4", 65535),
        (65536, "u4", 2**24 - 1),
        (2**32 - 1, "u4", 2**32 - 1),
        (1.0, "f4", 1.0),
        (1.5, "f4", 255.0),
        (300.0, "f4", 65535.0),
        (1e6, "f4", 1e6),
    ],
)
def test_white_is_the_least_step_that_holds_every_value(
    highest: float, kind: str, white: float
) -> None:
    values = np.array([[0, highest / 2, highest]]).astype(kind)
    least = 4095 if kind in ("u2", "i2") else 255
    expected = np.floor(values.astype(float) / white * 255 + 0.5)
    assert np.abs(grey(values, least_white=least) - expected).max() <= 1
    inverted = grey(values, least_white=least, inverted=True)
    np.testing.assert_array_equal(inverted, 255 - grey(values, least_white=least))


def test_signed_values_stretch_from_the_lowest_to_the_highest() -> None:
    values = np.array([[-1000, 0, 500, 3000]], np.int16)
    np.testing.assert_array_equal(grey(values), [[0, 64, 96, 255]])
    np.testing.assert_array_equal(grey(np.full((2, 2), -5, np.int16)), np.zeros((2, 2)))


def test_what_is_no_number_is_black_and_infinity_white() -> None:
    values = np.array([[np.nan, -np.inf, -1, 0.5, 1, np.inf]], np.float32)
    np.testing.assert_array_equal(grey(values), [[0, 0, 0, 128, 255, 255]])


def test_rows_in_parts_are_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (40, 7)).astype(np.uint16)
    whole = grey(values)
    monkeypatch.setattr("edgetransfer.images.wide._ROWS", 20)
    np.testing.assert_array_equal(grey(values), whole)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_twelve_bits_in_sixteen(kind: str) -> None:
    values = (np.arange(4096).reshape(64, 64)).astype(np.uint16)
    decoded = decode_image(encode(values, kind))[..., 0]
    assert np.abs(decoded - values / 4095 * 255).max() <= 0.51


def test_white_is_zero_looks_as_its_twin() -> None:
    values = np.random.default_rng(0).integers(0, 65536, (48, 64, 1))
    zero = decode_image(tiff(65535 - values, Layout(bits=16, photometric=0)))
    twin = decode_image(tiff(values, Layout(bits=16)))
    assert np.abs(zero.astype(int) - twin).max() <= 1


def test_a_value_that_is_transparent_shows_white() -> None:
    from tests.png_made import chunk, png

    values = np.array([[[0], [300], [65535]], [[40000], [300], [9]]])
    decoded = decode_image(png(values, 0, 16, before=chunk(b"tRNS", (300).to_bytes(2, "big"))))
    np.testing.assert_array_equal(decoded[..., 0], [[0, 255, 255], [156, 255, 0]])
