"""`tar_members` reads what `tarfile` reads, whatever the archive is made of."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetransfer.data.streams.tar_members import tar_members

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
