"""Sealed files: every damage is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

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
