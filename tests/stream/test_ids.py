"""The set of accepted ids, in memory and on disk."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from edgetransfer.stream.keeping.id_file import IdFile, read_ids
from edgetransfer.stream.learning.ids import ID_BYTES, IdSet, id_key
from tests.test_sealing import flipped


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


def test_what_no_checkpoint_names_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "ids.bin"
    ids = IdFile(path, b"")
    ids.add(id_key("a"))
    assert ids.save() == 1
    first = ids.checksum
    ids.add(id_key("b"))
    assert ids.save() == 2
    keys = read_ids(path, 1, first)
    assert keys == id_key("a")
    again = IdFile(path, keys)
    assert id_key("a") in again
    assert id_key("b") not in again
    again.add(id_key("c"))
    assert again.save() == 2
    assert read_ids(path, 2, again.checksum) == id_key("a") + id_key("c")
    assert path.stat().st_size == 2 * ID_BYTES


def test_a_file_that_is_too_short_or_another_is_found(tmp_path: Path) -> None:
    path = tmp_path / "ids.bin"
    assert read_ids(path, 1, None) is None
    assert read_ids(path, 0, 0) == b""
    ids = IdFile(path, b"")
    for name in ("a", "b"):
        ids.add(id_key(name))
    ids.save()
    content = path.read_bytes()
    for bit in range(8 * len(content)):
        path.write_bytes(flipped(content, bit))
        assert read_ids(path, 2, ids.checksum) is None
    path.write_bytes(content[:-1])
    assert read_ids(path, 2, ids.checksum) is None
    assert read_ids(path, 2, None) is None
