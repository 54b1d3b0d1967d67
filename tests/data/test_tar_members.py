"""`tar_members` reads what `tarfile` reads, whatever the archive is made of."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetransfer.data.tar_members import tar_members

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def archive(form: int, members: list[tuple[str, bytes, float]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as file:
        for name, data, changed in members:
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), changed  # type: ignore[assignment]
            file.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def by_tarfile(data: bytes) -> list[tuple[str, bytes]]:
    found = []
    with tarfile.open(fileobj=io.BytesIO(data)) as file:
        for member in file:
            content = file.extractfile(member) if member.isfile() else None
            if content is not None:
                found.append((member.name, content.read()))
    return found


def ours(path: Path, data: bytes) -> list[tuple[str, bytes | None]]:
    path.write_bytes(data)
    return list(tar_members(path, lambda name, size: True))


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
@given(
    members=st.lists(
        st.tuples(
            st.text("ab/é.", min_size=1, max_size=8).map(lambda s: f"x{s}y" * 2),
            st.binary(max_size=1200),
            st.sampled_from([0, 1.5, 1e9]),
        ),
        max_size=5,
    )
)
def test_plain_and_extended_headers(
    tmp_path_factory: pytest.TempPathFactory, form: int, members: list[tuple[str, bytes, float]]
) -> None:
    if form != tarfile.PAX_FORMAT:
        members = [(name, data, int(changed)) for name, data, changed in members]
    data = archive(form, members)
    assert ours(tmp_path_factory.mktemp("tar") / "a.tar", data) == by_tarfile(data)


@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_long_names(tmp_path: Path, form: str) -> None:
    long = "folder/" * 40
    data = archive(FORMATS[form], [("1.jpg", b"1", 0), (long + "2.jpg", b"2", 0), ("3", b"3", 0)])
    assert ours(tmp_path / "a.tar", data) == by_tarfile(data)
    assert len(by_tarfile(data)) == 3


def test_a_long_name_in_two_fields(tmp_path: Path) -> None:
    data = archive(tarfile.USTAR_FORMAT, [("folder/" * 20 + "2.jpg", b"2", 0)])
    assert ours(tmp_path / "a.tar", data) == by_tarfile(data)


def test_links_and_folders_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/1.jpg").write_bytes(b"1" * 700)
    (tmp_path / "in/2.jpg").symlink_to("1.jpg")
    (tmp_path / "in/3.jpg").hardlink_to(tmp_path / "in/1.jpg")
    with tarfile.open(tmp_path / "made.tar", "w") as file:
        file.add(tmp_path / "in", "in")
    data = (tmp_path / "made.tar").read_bytes()
    found = ours(tmp_path / "a.tar", data)
    assert [name for name, _ in found] == [name for name, _ in by_tarfile(data)]
    assert found


def test_compressed(tmp_path: Path) -> None:
    data = archive(tarfile.PAX_FORMAT, [("1.jpg", b"1" * 700, 0), ("2.jpg", b"2", 0)])
    assert ours(tmp_path / "a.tar", gzip.compress(data)) == by_tarfile(data)


def test_what_is_not_wanted_is_not_read(tmp_path: Path) -> None:
    data = archive(tarfile.PAX_FORMAT, [("1.jpg", b"1" * 700, 1.5), ("2.jpg", b"2", 1.5)])
    (tmp_path / "a.tar").write_bytes(data)
    found = list(tar_members(tmp_path / "a.tar", lambda name, size: name == "2.jpg"))
    assert found == [("1.jpg", None), ("2.jpg", b"2")]


def test_a_cut_archive_gives_whole_files_or_an_error(tmp_path: Path) -> None:
    members = [("1.jpg", b"1" * 600, 0.0), ("2.jpg", b"2" * 600, 0.0)]
    data = archive(tarfile.USTAR_FORMAT, members)
    whole = by_tarfile(data)
    for size in range(0, len(data), 100):
        found: list[tuple[str, bytes | None]] = []
        (tmp_path / "a.tar").write_bytes(data[:size])
        try:
            found.extend(tar_members(tmp_path / "a.tar", lambda name, size: True))
        except (tarfile.TarError, EOFError):
            assert size < 3 * 1024
        assert found == whole[: len(found)]


def test_no_archive_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"no tar" * 1000)
    with pytest.raises(tarfile.TarError):
        list(tar_members(tmp_path / "a.tar", lambda name, size: True))


def test_a_cut_in_what_is_not_wanted_is_told(tmp_path: Path) -> None:
    data = archive(tarfile.USTAR_FORMAT, [("1.jpg", b"1", 0), ("2.json", b"2" * 5000, 0)])
    (tmp_path / "a.tar").write_bytes(data[:3000])
    with pytest.raises(tarfile.ReadError, match="unexpected end"):
        list(tar_members(tmp_path / "a.tar", lambda name, size: name == "1.jpg"))


def header(name: str, size: int, kind: bytes = b"0") -> bytes:
    """A ustar header by hand; the size may be any."""
    field = b"%011o\0" % size if size < 8**11 else b"\x80" + size.to_bytes(11, "big")
    block = name.encode().ljust(100, b"\0") + b"0000644\0" * 3 + field + b"%011o\0" % 0
    block = (block + b" " * 8 + kind).ljust(257, b"\0") + b"ustar\x0000"
    block = block.ljust(512, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def pax(records: bytes) -> bytes:
    return header("p", len(records), b"x") + records.ljust(-(-len(records) // 512) * 512, b"\0")


def record(name: str, value: str) -> bytes:
    body = f" {name}={value}\n".encode()
    size = len(body)
    while len(str(size)) + len(body) != size:
        size = len(str(size)) + len(body)
    return str(size).encode() + body


PLAIN = header("a.jpg", 4) + b"a".ljust(512, b"\0")
GIB = 2**30
HOSTILE = {
    "a name of gigabytes": header("././@LongLink", 3 * GIB, b"L"),
    "an extended header of gigabytes": header("p", 3 * GIB, b"x"),
    "a global header of gigabytes": header("p", 3 * GIB, b"g"),
    "a negative size": pax(record("size", "-512")) + PLAIN,
    "a size that is no number": pax(record("size", "many")) + PLAIN,
    "a size of ten digits and more": pax(record("size", "9" * 30)) + PLAIN,
    "a record that is longer than its header": pax(b"999 path=x\n") + PLAIN,
    "a record of no length": pax(b"0 path=x\n") + PLAIN,
    "a record that is none": pax(b"abc") + PLAIN,
    "a sparse map of words": pax(record("GNU.sparse.map", "0,x")) + PLAIN,
    "a sparse map of odd length": pax(record("GNU.sparse.map", "0,1,2")) + PLAIN,
    "a sparse file of words": pax(
        record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0")
        + record("GNU.sparse.realsize", "many")
    ) + PLAIN,
    "a sparse file without a map": pax(
        record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0")
    ) + PLAIN,
    "a date that is none": pax(record("mtime", "yesterday")) + PLAIN,
    "a date without end": pax(record("mtime", "inf")) + PLAIN,
    "a path with a zero": pax(record("path", "a\0b")) + PLAIN,
    "another character set": pax(record("hdrcharset", "nonsense") + record("path", "ä")) + PLAIN,
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers_are_an_error_or_files(tmp_path: Path, name: str, packed: bool) -> None:
    data = HOSTILE[name] + bytes(1024)
    (tmp_path / "a.tar").write_bytes(gzip.compress(data) if packed else data)
    found: list[tuple[str, bytes | None]] = []
    try:
        found.extend(tar_members(tmp_path / "a.tar", lambda name, size: size < 1000))
    except (tarfile.TarError, EOFError):
        found.append(("an error", None))
    assert all(len(content or b"") < 1000 for _, content in found)


def test_a_sparse_file_of_gigabytes_is_asked_for_by_its_size(tmp_path: Path) -> None:
    records = record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0")
    records += record("GNU.sparse.name", "big.jpg") + record("GNU.sparse.realsize", str(12 * GIB))
    data = pax(records) + header("x", 512) + b"1\n0\n0\n".ljust(512, b"\0") + PLAIN + bytes(1024)
    (tmp_path / "a.tar").write_bytes(data)
    asked = []

    def wanted(name: str, size: int) -> bool:
        asked.append((name, size))
        return size < 1000

    found = list(tar_members(tmp_path / "a.tar", wanted))
    assert asked == [("big.jpg", 12 * GIB), ("a.jpg", 4)]
    assert found == [("big.jpg", None), ("a.jpg", b"a\0\0\0")]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_an_archive_that_expands_without_end_is_an_error(
    tmp_path: Path, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetransfer.data.tar_members.ALLOWANCE", 1 << 16)
    data = PLAIN + b"".join(header(f"{i}.jpg", 1 << 20) + bytes(1 << 20) for i in range(4))
    (tmp_path / "a.tar").write_bytes(pack(data + bytes(1024)))
    found = tar_members(tmp_path / "a.tar", lambda name, size: size < 1000)
    assert next(found)[0] == "a.jpg"
    with pytest.raises(tarfile.ReadError, match="expands to more"):
        list(found)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_damaged_compression_is_an_error(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    data = pack(
        archive(tarfile.USTAR_FORMAT, [(f"{i}.jpg", bytes([i]) * 900, 0) for i in range(9)])
    )
    for place in range(0, len(data), 3):
        broken = data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :]
        (tmp_path / "a.tar").write_bytes(broken)
        found: list[tuple[str, bytes | None]] = []
        try:
            found.extend(tar_members(tmp_path / "a.tar", lambda name, size: size < 1 << 20))
        except (tarfile.TarError, OSError, EOFError):
            found.append(("an error", None))
        assert len(found) <= 10
