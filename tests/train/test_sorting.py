"""Photos are copied to their classes: none is moved, none replaced, none mixed up."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetransfer.errors import EdgeTransferError, TakenError
from edgetransfer.train import PhotoSorter
from edgetransfer.train.sorting import folder_names

HOSTILE = (
    "../up",
    "/root",
    "a/b",
    "a_b",
    "A_B",
    "..",
    ".",
    "",
    "unknown",
    "Unknown",
    "nul\0",
    "x. ",
)


@given(st.lists(st.text(max_size=200) | st.sampled_from(HOSTILE), unique=True, max_size=20))
def test_each_class_has_one_folder_of_its_own(classes: list[str]) -> None:
    names = folder_names(classes)
    assert set(names) == {*classes, None}
    assert len({name.casefold() for name in names.values()}) == len(names)
    for name in names.values():
        assert name not in ("", ".", "..")
        assert "/" not in name
        assert "\\" not in name
        assert "\0" not in name
        assert len(name) <= 110


def test_an_ordinary_name_is_kept() -> None:
    names = folder_names(["cat", "Ünï côde", "unknown"])
    assert names == {"cat": "cat", "Ünï côde": "Ünï côde", "unknown": "unknown", None: "unknown-2"}


def test_nothing_leaves_the_folder(tmp_path: Path) -> None:
    photo = tmp_path / "p.jpg"
    photo.write_bytes(b"1")
    sorter = PhotoSorter(tmp_path / "sorted", HOSTILE)
    for name in (*HOSTILE, None):
        assert sorter.put(photo, name).parent.parent == tmp_path / "sorted"
    assert len(list((tmp_path / "sorted").iterdir())) == len(HOSTILE) + 1


def test_another_photo_of_that_name_gets_a_number_and_the_same_one_none(tmp_path: Path) -> None:
    sorter = PhotoSorter(tmp_path / "sorted", ["cat"])
    photos = []
    for folder, content in (("a", b"1"), ("b", b"2"), ("c", b"1"), ("d", b"3")):
        (tmp_path / folder).mkdir()
        photos.append(tmp_path / folder / "p.jpg")
        photos[-1].write_bytes(content)
    for _ in range(2):
        names = [sorter.put(photo, "cat").name for photo in photos]
        assert names == ["p.jpg", "p-2.jpg", "p.jpg", "p-3.jpg"]
    there = sorted((tmp_path / "sorted" / "cat").iterdir())
    assert [path.name for path in there] == ["p-2.jpg", "p-3.jpg", "p.jpg"]
    assert [photo.read_bytes() for photo in photos] == [b"1", b"2", b"1", b"3"]


def test_a_link_that_leads_nowhere_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "sorted" / "cat").mkdir(parents=True)
    (tmp_path / "sorted" / "cat" / "p.jpg").symlink_to(tmp_path / "elsewhere")
    photo = tmp_path / "p.jpg"
    photo.write_bytes(b"1")
    assert PhotoSorter(tmp_path / "sorted", ["cat"]).put(photo, "cat").name == "p-2.jpg"
    assert not (tmp_path / "elsewhere").exists()


def test_what_is_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TakenError, match="file of that name"):
        PhotoSorter(tmp_path / "file", ["cat"])
    (tmp_path / "sorted").mkdir()
    (tmp_path / "sorted" / "cat").write_bytes(b"")
    with pytest.raises(EdgeTransferError, match=r"p\.jpg: cannot be copied"):
        PhotoSorter(tmp_path / "sorted", ["cat"]).put(tmp_path / "p.jpg", "cat")
