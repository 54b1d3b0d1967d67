"""Sources that may never end."""

from __future__ import annotations

import base64
import io
import json
import os
import tarfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgetransfer.data.streams import (
    Arrival,
    FolderSource,
    JsonLinesSource,
    TarSource,
    VideoSource,
    read_fields,
)
from edgetransfer.errors import DataError

SUFFIXES = frozenset([".jpg", ".png"])


class Known:
    """A ledger over plain sets."""

    def __init__(self, known: set[str] | None = None, unlabelled: set[str] | None = None) -> None:
        self.ids = known if known is not None else set()
        self.unlabelled = unlabelled if unlabelled is not None else set()

    def known(self, sample_id: str) -> bool:
        return sample_id in self.ids or sample_id in self.unlabelled

    def open_for_label(self, sample_id: str) -> bool:
        return sample_id in self.unlabelled


def png(value: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4, 3), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def put(path: Path, data: bytes = b"image", *, old: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    if old:
        os.utime(path, (1e9, 1e9))


def all_of(source: FolderSource | TarSource | JsonLinesSource, ledger: Known) -> list[Arrival]:
    return list(source.arrivals(threading.Event(), ledger))


class TestFolder:
    def test_folders_are_classes(self, tmp_path: Path) -> None:
        for name in ("cat/1.png", "cat/deep/2.jpg", "dog/3.png", "4.png", "unlabelled/5.png"):
            put(tmp_path / name)
        put(tmp_path / "cat/.hidden.png")
        put(tmp_path / "cat/notes.txt")
        found = all_of(FolderSource(tmp_path, suffixes=SUFFIXES, once=True), Known())
        assert {a.id: a.label for a in found} == {
            "cat/1.png": "cat",
            "cat/deep/2.jpg": "cat",
            "dog/3.png": "dog",
            "4.png": None,
            "unlabelled/5.png": None,
        }

    def test_a_sidecar_goes_before_folders(self, tmp_path: Path) -> None:
        put(tmp_path / "cat/1.png")
        put(tmp_path / "2.png")
        (tmp_path / "labels.csv").write_text("path,label\n2.png,dog\ncat/1.png,lynx\n")
        found = all_of(FolderSource(tmp_path, suffixes=SUFFIXES, once=True), Known())
        assert {a.id: a.label for a in found} == {"cat/1.png": "lynx", "2.png": "dog"}

    def test_what_is_known_is_left_out_but_for_its_label(self, tmp_path: Path) -> None:
        put(tmp_path / "cat/1.png")
        put(tmp_path / "2.png")
        put(tmp_path / "3.png")
        (tmp_path / "labels.jsonl").write_text('{"path": "2.png", "label": "dog"}\n')
        ledger = Known({"cat/1.png"}, {"2.png", "3.png"})
        found = all_of(FolderSource(tmp_path, suffixes=SUFFIXES, once=True), ledger)
        assert [(a.id, a.label, a.source) for a in found] == [("2.png", "dog", None)]

    def test_files_still_being_written_are_waited_for(self, tmp_path: Path) -> None:
        (tmp_path / "cat").mkdir()
        stop = threading.Event()
        source = FolderSource(tmp_path, suffixes=SUFFIXES)
        path = tmp_path / "cat" / "slow.png"
        data = png()

        def write() -> None:
            with path.open("wb") as file:
                for start in range(0, len(data), 16):
                    file.write(data[start : start + 16])
                    file.flush()
                    time.sleep(0.2)

        writer = threading.Thread(target=write)
        writer.start()
        arrivals = source.arrivals(stop, Known())
        arrival = next(arrivals)
        assert arrival.read() == data
        writer.join()
        stop.set()
        assert list(arrivals) == []

    def test_new_files_are_seen_without_polling(self, tmp_path: Path) -> None:
        (tmp_path / "cat").mkdir()
        stop = threading.Event()
        arrivals = FolderSource(tmp_path, suffixes=SUFFIXES).arrivals(stop, Known())
        timer = threading.Timer(0.5, put, (tmp_path / "cat/new.png",), {"old": False})
        timer.start()
        begin = time.monotonic()
        assert next(arrivals).id == "cat/new.png"
        assert time.monotonic() - begin < 10  # polling alone looks every 30 seconds
        stop.set()
        assert list(arrivals) == []

    def test_a_refused_file_is_offered_again_when_it_changes(self, tmp_path: Path) -> None:
        put(tmp_path / "cat/1.png", b"broken")
        source = FolderSource(tmp_path, suffixes=SUFFIXES, once=True)
        assert len(all_of(source, Known())) == 1
        assert len(all_of(source, Known())) == 0
        put(tmp_path / "cat/1.png", b"mended, and longer")
        assert len(all_of(source, Known())) == 1

    @pytest.mark.parametrize(
        "names",
        [
            ("train/a/1.png", "train/b/2.png", "test/a/3.png"),
            ("a/train/1.png", "a/test/2.png", "b/train/1.png"),
            ("train/1.png", "test/2.png"),
        ],
    )
    def test_splits_are_not_learned_as_classes(
        self, names: tuple[str, ...], tmp_path: Path
    ) -> None:
        for name in names:
            put(tmp_path / name)
        with pytest.raises(DataError, match="give it the folder of one split"):
            all_of(FolderSource(tmp_path, suffixes=SUFFIXES, once=True), Known())

    def test_a_sidecar_may_write_names_in_another_unicode_form(self, tmp_path: Path) -> None:
        put(tmp_path / "e\u0301.png")
        (tmp_path / "labels.csv").write_text("path,label\n./\u00e9.png,cat\n")
        (found,) = all_of(FolderSource(tmp_path, suffixes=SUFFIXES, once=True), Known())
        assert (found.id, found.label) == ("e\u0301.png", "cat")

    def test_a_missing_folder_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no such folder to watch"):
            FolderSource(tmp_path / "none", suffixes=SUFFIXES)


def shard(path: Path, files: list[tuple[str, bytes]]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


class TestTar:
    def test_shards_in_order(self, tmp_path: Path) -> None:
        shard(tmp_path / "b.tar", [("x/3.jpg", b"3"), ("x/3.cls", b"dog\n")])
        shard(
            tmp_path / "a.tar",
            [
                ("1.cls", b"cat"),
                ("1.jpg", b"1"),
                ("1.json", b"{}"),
                ("2.seg.png", b"2"),
                ("2.png", b"2"),
                ("4.cls", b"cat"),
            ],
        )
        found = all_of(TarSource(f"{tmp_path}/*.tar", suffixes=SUFFIXES), Known())
        assert [(a.id, a.label, a.source, bool(a.problem)) for a in found] == [
            ("a.tar/1", "cat", b"1", False),
            ("a.tar/2", None, b"2", False),
            ("a.tar/4", None, None, True),
            ("b.tar/x/3", "dog", b"3", False),
        ]

    def test_what_is_too_large_is_named_and_the_rest_goes_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("edgetransfer.data.streams.shard_samples.LARGEST_IMAGE", 99)
        monkeypatch.setattr("edgetransfer.data.streams.shard_samples.LONGEST_LABEL_FILE", 50)
        members = [("1.jpg", bytes(100)), ("1.cls", b"cat"), ("2.jpg", b"2"), ("2.cls", bytes(51))]
        shard(tmp_path / "a.tar", [*members, ("3.jpg", bytes(99)), ("3.json", bytes(5000))])
        found = all_of(TarSource(f"{tmp_path}/a.tar", suffixes=SUFFIXES), Known())
        assert [(a.id, a.problem and a.problem.split()[0]) for a in found] == [
            ("a.tar/1", "larger"),
            ("a.tar/2", "its"),
            ("a.tar/3", None),
        ]

    def test_repeat_gives_new_ids_each_time(self, tmp_path: Path) -> None:
        shard(tmp_path / "a.tar", [("1.jpg", b"1"), ("2.jpg", b"2")])
        source = TarSource(f"{tmp_path}/a.tar", suffixes=SUFFIXES, repeat=True)
        arrivals = source.arrivals(threading.Event(), Known({"a.tar/1"}))
        assert [next(arrivals).id for _ in range(4)] == [
            "a.tar/2",
            "a.tar/1#1",
            "a.tar/2#1",
            "a.tar/1#2",
        ]

    def test_repeating_nothing_ends(self, tmp_path: Path) -> None:
        shard(tmp_path / "a.tar", [("1.cls", b"1")])
        source = TarSource(f"{tmp_path}/a.tar", suffixes=SUFFIXES, repeat=True)
        with pytest.raises(DataError, match="nothing to repeat"):
            all_of(source, Known())

    @pytest.mark.parametrize("size", [0, 100, 700, 1500])
    def test_a_cut_shard_is_reported_and_the_next_is_read(self, tmp_path: Path, size: int) -> None:
        shard(tmp_path / "a.tar", [("1.jpg", b"1" * 600), ("1.cls", b"x"), ("2.jpg", b"2" * 600)])
        data = (tmp_path / "a.tar").read_bytes()
        (tmp_path / "a.tar").write_bytes(data[:size])
        shard(tmp_path / "b.tar", [("3.jpg", b"3")])
        found = all_of(TarSource(f"{tmp_path}/*.tar", suffixes=SUFFIXES), Known())
        assert found[-1].id == "b.tar/3"
        assert all(len(a.read()) == 600 for a in found[:-1] if a.problem is None)

    def test_no_shard_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"none\*.tar: no tar shard"):
            TarSource(f"{tmp_path}/none*.tar", suffixes=SUFFIXES)


def lines(data: bytes, longest: int = 1000) -> list[Arrival]:
    return all_of(JsonLinesSource(io.BytesIO(data), longest=longest), Known())


class TestJsonLines:
    def test_the_forms(self) -> None:
        image = base64.b64encode(b"bytes").decode()
        records = [
            {"path": "a/b.jpg", "label": "cat"},
            {"path": "c.jpg", "id": 7},
            {"base64": image, "label": 3, "id": "x"},
            {"base64": image},
            {"id": "x", "label": "dog"},
        ]
        found = lines("\n".join(map(json.dumps, records)).encode())
        digest = "277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9"
        assert [(a.id, a.label, a.source) for a in found] == [
            ("a/b.jpg", "cat", Path("a/b.jpg")),
            ("7", None, Path("c.jpg")),
            ("x", "3", b"bytes"),
            (digest, None, b"bytes"),
            ("x", "dog", None),
        ]

    def test_a_broken_line_does_not_end_it(self) -> None:
        data = b'{"path"\n\n[1]\n{"path": "a", "x": 1}\n' + b"x" * 5000 + b'\n{"path": "ok"}\n'
        found = lines(data)
        assert [a.id for a in found] == ["line 1", "line 3", "line 4", "line 5", "ok"]
        assert [a.problem is None for a in found] == [False] * 4 + [True]
        assert found[3].problem == "longer than 1000 bytes"

    @given(st.binary(max_size=200) | st.text(max_size=80).map(str.encode))
    def test_no_bytes_break_it(self, data: bytes) -> None:
        found = lines(data + b'\n{"path": "last"}', longest=100)
        assert found[-1].id == "last"
        assert all(a.problem or a.source is not None or a.label for a in found)

    @pytest.mark.parametrize(
        "record",
        [
            {},
            {"label": "a"},
            {"path": ""},
            {"path": "a\0b"},
            {"path": "a", "base64": "YQ=="},
            {"base64": "a"},
            {"base64": 1},
            {"path": True},
            {"path": "a", "label": "x" * 256},
            {"path": "a", "label": "a\tb"},
            {"path": "a", "id": "\ud800"},
            {"path": "a", "id": 2**70},
            {"path": "a", "label": ["b"]},
        ],
    )
    def test_fields_are_checked(self, record: dict[str, object]) -> None:
        with pytest.raises(DataError):
            read_fields(record, files=True)

    def test_a_path_may_hold_bytes_that_are_not_utf8(self) -> None:
        name = os.fsdecode(b"gr\xfcn.jpg")
        (found,) = lines(json.dumps({"path": name, "label": "a"}).encode())
        assert (found.id, found.source) == (name, Path(name))

    def test_paths_may_be_forbidden(self) -> None:
        with pytest.raises(DataError, match="not allowed"):
            read_fields({"path": "/etc/passwd"}, files=False)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    av = pytest.importorskip("av", reason="PyAV is not installed")
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for value in range(0, 200, 20):
            frame = np.full((32, 32, 3), value, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


class TestVideo:
    def test_frames_have_ids_and_the_label(self, film: Path) -> None:
        source = VideoSource(film, label="ramp", every=3)
        found = list(source.arrivals(threading.Event(), Known({"film.mp4@3"})))
        assert [a.id for a in found] == ["film.mp4@0", "film.mp4@6", "film.mp4@9"]
        assert {a.label for a in found} == {"ramp"}
        means = [np.asarray(Image.open(io.BytesIO(a.read()))).mean() for a in found]
        assert means == pytest.approx([0, 120, 180], abs=6)

    def test_what_is_no_video_is_named(self, tmp_path: Path) -> None:
        pytest.importorskip("av", reason="PyAV is not installed")
        path = tmp_path / "no.mp4"
        path.write_bytes(b"nothing of the sort")
        with pytest.raises(DataError, match=r"no\.mp4: cannot be read as a video"):
            list(VideoSource(path, label=None).arrivals(threading.Event(), Known()))
