"""Photos and labels of a tar shard, in whatever order and under whatever names."""

from __future__ import annotations

import io
import tarfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetransfer.data.streams import Arrival, TarSource
from edgetransfer.data.streams.shard_samples import (
    NO_CLASS,
    NO_IMAGE,
    TOO_LARGE,
    TORN,
    UNCLEAR,
    ShardSamples,
)
from tests.data.test_streams import SUFFIXES, Known, shard


def read(path: Path, ledger: Known | None = None) -> list[Arrival]:
    source = TarSource(str(path), suffixes=SUFFIXES)
    return list(source.arrivals(threading.Event(), ledger or Known()))


STEMS = ["0001", "0002", "shot v1.0", "shot v1.1", "IMG.2020.05", "IMG.2020.06", "x/a", "x/b.c"]


@given(
    files=st.permutations([(stem, ending) for stem in STEMS for ending in (".jpg", ".cls")]),
    held=st.sampled_from([0, 25, 10**6]),
)
def test_every_photo_meets_its_label(files: list[tuple[str, str]], held: int) -> None:
    samples = ShardSamples(SUFFIXES, held_bytes=held)
    found = []
    for stem, ending in files:
        found += samples.add(stem + ending, f"{stem}{ending}".encode())
    found += samples.rest(torn=False)
    images = {s.key: s.image for s in found if s.image is not None}
    labels = {s.key: s.label for s in found if s.label is not None}
    assert images == {stem: f"{stem}.jpg".encode() for stem in STEMS}
    assert labels == {stem: f"{stem}.cls".encode() for stem in STEMS}
    assert all(sample.problem is None for sample in found)
    # A label never goes before its photo.
    for place, sample in enumerate(found):
        if sample.image is None:
            assert sample.key in {earlier.key for earlier in found[:place]}


@given(files=st.permutations(range(6)), missing=st.sampled_from([".jpg", ".cls"]))
def test_what_does_not_meet_is_there_or_named(files: list[int], missing: str) -> None:
    samples = ShardSamples(SUFFIXES)
    found = []
    for number in files:
        for ending in (".jpg", ".cls"):
            if number != 3 or ending != missing:
                found += samples.add(f"{number}{ending}", b"content")
    found += samples.rest(torn=False)
    assert sorted(sample.key for sample in found) == list("012345")
    (odd,) = [sample for sample in found if sample.key == "3"]
    if missing == ".jpg":
        assert odd.problem == NO_IMAGE
    else:
        assert (odd.image, odd.label, odd.problem) == (b"content", None, None)


def test_what_is_too_large_to_be_read_is_named() -> None:
    samples = ShardSamples(SUFFIXES)
    assert samples.wanted("1.jpg", 2**28)
    assert not samples.wanted("1.jpg", 2**28 + 1)
    assert not samples.wanted("1.cls", 4097)
    assert not samples.wanted("1.txt", 1)
    files = [("1.jpg", None), ("1.cls", b"cat"), ("2.jpg", b"2"), ("2.cls", None), ("3.txt", None)]
    found = [sample for file, content in files for sample in samples.add(file, content)]
    found += samples.rest(torn=False)
    assert [(s.key, s.image, s.problem) for s in found] == [
        ("1", None, TOO_LARGE),
        ("2", None, NO_CLASS),
        ("3", None, NO_IMAGE),
    ]


def test_labels_far_from_their_photos(tmp_path: Path) -> None:
    images = [(f"{i:04d}.jpg", b"%d" % i) for i in range(30)]
    labels = [(f"{i:04d}.cls", b"even" if i % 2 == 0 else b"odd") for i in range(30)]
    for order in (images + labels, labels + images, images + labels[::-1]):
        shard(tmp_path / "a.tar", order)
        found = read(tmp_path / "a.tar")
        assert {a.id: (a.label, a.source) for a in found} == {
            f"a.tar/{i:04d}": ("even" if i % 2 == 0 else "odd", b"%d" % i) for i in range(30)
        }


def test_a_photo_with_a_word_in_its_ending_has_the_label_of_its_name(tmp_path: Path) -> None:
    files = []
    for i in range(3):
        files += [(f"{i}.input.jpg", b"%d" % i), (f"{i}.cls", b"cat")]
    shard(tmp_path / "a.tar", files)
    found = read(tmp_path / "a.tar")
    assert [(a.id, a.label) for a in found] == [(f"a.tar/{i}.input", "cat") for i in range(3)]


def test_a_label_for_several_photos_is_named_with_them(tmp_path: Path) -> None:
    shard(tmp_path / "a.tar", [("1.left.jpg", b"l"), ("1.right.jpg", b"r"), ("1.cls", b"cat")])
    found = read(tmp_path / "a.tar")
    assert {a.id: a.problem for a in found} == {
        f"a.tar/1{part}": UNCLEAR for part in ("", ".left", ".right")
    }


def test_further_images_of_a_sample_are_no_samples(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = [("1.seg.png", b"s"), ("1.jpg", b"1"), ("1.cls", b"cat"), ("2.jpg", b"2")]
    shard(tmp_path / "a.tar", [*files, ("2.png", b"2"), ("2.cls", b"dog")])
    with caplog.at_level("INFO", "edgetransfer"):
        found = read(tmp_path / "a.tar")
    assert [(a.id, a.source, a.label) for a in found] == [
        ("a.tar/1", b"1", "cat"),
        ("a.tar/2", b"2", "dog"),
    ]
    assert "left out 2 images that are further parts of samples" in caplog.text


def test_a_label_reaches_a_photo_that_was_accepted_without(tmp_path: Path) -> None:
    shard(tmp_path / "a.tar", [("1.jpg", b"1"), ("1.cls", b"cat"), ("2.jpg", b"2")])
    found = read(tmp_path / "a.tar", Known(unlabelled={"a.tar/1", "a.tar/2"}))
    assert [(a.id, a.source, a.label) for a in found] == [("a.tar/1", None, "cat")]


def test_what_a_torn_shard_may_have_labelled_is_named(tmp_path: Path) -> None:
    files = [("1.jpg", b"1" * 600), ("2.jpg", b"2" * 600), ("1.cls", b"cat"), ("2.cls", b"dog")]
    shard(tmp_path / "a.tar", files)
    data = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(data[: data.index(b"2.cls") + 100])
    found = read(tmp_path / "a.tar")
    assert [(a.id, a.label, a.problem) for a in found[:2]] == [
        ("a.tar/1", "cat", None),
        ("a.tar/2", None, TORN),
    ]
    assert found[2].id == "a.tar"


def test_what_a_storage_system_packed_too_is_no_sample(tmp_path: Path) -> None:
    files = [
        ("./x/1.jpg", b"1"),
        ("x/._1.jpg", b"?"),
        ("__MACOSX/x/1.jpg", b"?"),
        (".g/2.jpg", b""),
    ]
    shard(tmp_path / "a.tar", files)
    assert [a.id for a in read(tmp_path / "a.tar")] == ["a.tar/./x/1"]


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w", encoding="latin-1", format=tarfile.GNU_FORMAT) as a:
        for name in ("grün.jpg", "grün.cls"):
            member = tarfile.TarInfo(name)
            member.size = 3
            a.addfile(member, io.BytesIO(b"cat"))
    (found,) = read(tmp_path / "a.tar")
    assert (found.id, found.label) == ("a.tar/gr\udcfcn", "cat")
