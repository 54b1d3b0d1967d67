"""Sealed files: every damage is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load, load_file, save

from edgetransfer.sealing import BrokenSealError, has_seal, sealed

ARRAYS = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.zeros(0, np.int64)}
TEXT = {"note": 'a "seal": "12345678" of another', "ü": "ä\n"}


def flipped(content: bytes, bit: int) -> bytes:
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def test_a_sealed_file_is_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(sealed(ARRAYS, TEXT))
    assert has_seal(path)
    found = load_file(path)
    assert {k: v.tolist() for k, v in found.items()} == {k: v.tolist() for k, v in ARRAYS.items()}
    assert sealed(ARRAYS, TEXT) == sealed(dict(reversed(ARRAYS.items())), TEXT)


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0), (2, 3), (4, 3, 2)])
def test_arrays_lie_as_the_library_lays_them(shape: tuple[int, ...]) -> None:
    kinds = ["u8", "i8", "f8", "f4", "u4", "i4", "f2", "u2", "i2", "i1", "u1", "?"]
    arrays: dict[str, NDArray[Any]] = {
        f"{name}{kind}": np.full(shape, i % 2, kind)
        for i, kind in enumerate(kinds)
        for name in "ba"
    }
    by_hand = sealed(arrays, TEXT)
    library = save(arrays, metadata=TEXT)
    assert (
        by_hand[8 + int.from_bytes(by_hand[:8], "little") :]
        == library[8 + int.from_bytes(library[:8], "little") :]
    )
    found = load(by_hand)
    assert {name: (a.dtype, a.shape, a.tolist()) for name, a in found.items()} == {
        name: (a.dtype, a.shape, a.tolist()) for name, a in arrays.items()
    }


def test_an_array_need_not_be_contiguous() -> None:
    array = np.arange(24, dtype=np.int32).reshape(4, 6)[::2, 1::2]
    np.testing.assert_array_equal(load(sealed({"a": array}, {}))["a"], array)


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_every_flipped_bit_and_every_cut_is_found(tmp_path: Path, step: int) -> None:
    """But for those in the word ``seal``: the file then has none, which its format must show."""
    content = sealed(ARRAYS, TEXT)
    path = tmp_path / "x"
    unsealed = []
    for bit in range(0, 8 * len(content), step):
        path.write_bytes(flipped(content, bit))
        try:
            assert not has_seal(path)
            unsealed.append(bit // 8)
        except BrokenSealError:
            pass
    assert bytes(content[i] for i in sorted(set(unsealed))) == b'"seal": "'
    for size in range(0, len(content), step):
        path.write_bytes(content[:size])
        try:
            assert not has_seal(path)
            assert size < content.index(b'"seal": "') + 9
        except BrokenSealError:
            pass
    path.write_bytes(content + b"\0")
    with pytest.raises(BrokenSealError):
        has_seal(path)
