"""The set of accepted ids, in memory and on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetransfer.errors import DataError
from edgetransfer.online.id_file import IdFile
from edgetransfer.online.ids import ID_BYTES, IdSet, id_key


@given(
    st.lists(st.binary(min_size=ID_BYTES, max_size=ID_BYTES)),
    st.lists(st.binary(min_size=16, max_size=16)),
)
def test_it_is_a_set(keys: list[bytes], others: list[bytes]) -> None:
    found, expected = IdSet(keys), set(keys)
    assert len(found) == len(expected)
    assert all(key in found for key in keys)
    assert all((key in found) == (key in expected) for key in others)


def test_it_grows() -> None:
    keys = [id_key(str(i)) for i in range(20_000)]
    found = IdSet(keys[:10_000])
    assert all(key in found for key in keys[:10_000])
    assert not any(key in found for key in keys[10_000:])


def test_what_no_checkpoint_names_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "ids.bin"
    ids = IdFile(path, 0)
    ids.add(id_key("a"))
    assert ids.save() == 1
    ids.add(id_key("b"))
    assert ids.save() == 2
    again = IdFile(path, 1)
    assert id_key("a") in again
    assert id_key("b") not in again
    assert path.stat().st_size == ID_BYTES


def test_a_file_that_is_too_short_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="shorter"):
        IdFile(tmp_path / "ids.bin", 1)
