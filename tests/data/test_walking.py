"""The walk through a person's folders."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetransfer.data import load_data
from edgetransfer.data import walking as kinds
from edgetransfer.data.walking import walk
from edgetransfer.errors import DataError
from tests.data.test_layouts import make

SUFFIXES = frozenset([".png"])
FOLDERS = ["", "a", "b", "a/x", "a/y", "a/x/deep"]


@settings(max_examples=20, deadline=None)
@given(
    links=st.lists(
        st.tuples(
            st.sampled_from(FOLDERS),  # where the link lies
            st.sampled_from(["l1", "l2", "Z"]),
            st.sampled_from([*FOLDERS, "..", "../outside", "../outside/inner", "../none"]),
        ),
        max_size=6,
    )
)
def test_whatever_links_there_are_each_real_folder_is_visited_once(
    links: list[tuple[str, str, str]],
) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place, "photos")
        make(root, *(f"{folder}/1.png".lstrip("/") for folder in FOLDERS))
        make(Path(place, "outside"), "2.png", "inner/3.png")
        targets = {(folder, name): target for folder, name, target in links}
        for (folder, name), target in targets.items():
            (root / folder / name).symlink_to(root / target)
        walked = list(walk(root).root.all_files())
        paths = [path for path in walked if path.endswith(".png")]
        files = [os.path.realpath(root / path) for path in paths]
        assert len(set(files)) == len(files)
        # Real folders are found under their own names, whatever leads to them.
        assert {f"{folder}/1.png".lstrip("/") for folder in FOLDERS} <= {
            path for path, file in zip(paths, files, strict=True) if "photos" in file
        }
        outside = {
            "../outside": {"2.png", "inner/3.png"},
            "../outside/inner": {"inner/3.png"},
        }
        reached = set().union(*(outside.get(target, set()) for target in targets.values()))
        seen = {os.path.relpath(f, Path(place, "outside")) for f in files if "outside" in f}
        assert seen == reached
        broken = sum(target == "../none" for target in targets.values())
        assert len(walked) == len(FOLDERS) + len(reached) + broken
        assert list(walk(root).root.all_files()) == walked


def test_a_class_may_be_a_link_to_elsewhere(tmp_path: Path) -> None:
    make(tmp_path / "archive", "1.png", "old/2.png")
    make(tmp_path / "photos", "dog/3.png")
    (tmp_path / "photos/cat").symlink_to(tmp_path / "archive")
    splits = load_data(tmp_path / "photos", suffixes=SUFFIXES)
    assert [s.id for s in splits.train] == ["cat/1.png", "cat/old/2.png", "dog/3.png"]


def test_what_was_not_walked_again_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "a/all").symlink_to(".")
    (tmp_path / "b/up").symlink_to("..")
    (tmp_path / "again").symlink_to("a")
    with caplog.at_level("WARNING", "edgetransfer"):
        splits = load_data(tmp_path, suffixes=SUFFIXES)
    assert splits.classes == ("a", "b")
    assert splits.left_out == ((kinds.LINKS, 3),)
    assert "a/all, again, b/up" in caplog.text


STORAGE = [
    *("@eaDir", "@EADIR", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", "@__thumb"),
    *("$RECYCLE.BIN", "System Volume Information", "RECYCLER", "lost+found", "__MACOSX"),
    *(".Trash-1000", ".Trashes", "Network Trash Folder", "@tmp", ".thumbnails", ".@__thumb"),
]


@pytest.mark.parametrize("name", STORAGE)
@pytest.mark.parametrize("where", ["", "a/", "a/deep/"])
def test_what_storage_systems_keep_is_no_data(name: str, where: str, tmp_path: Path) -> None:
    make(tmp_path, "a/1.png", "b/2.png", f"{where}{name}/1.png/THUMB.png", f"{where}{name}/2.png")
    splits = load_data(tmp_path, suffixes=SUFFIXES)
    assert splits.classes == ("a", "b")
    assert [s.id for s in splits.train] == ["a/1.png", "b/2.png"]
    assert splits.left_out == ((kinds.STORAGE, 1),)


@pytest.mark.parametrize("name", ["#cats", "@home", "recycling", "thumbs", "snapshot", "$5"])
def test_classes_may_have_names_that_only_look_like_it(name: str, tmp_path: Path) -> None:
    splits = load_data(make(tmp_path, f"{name}/1.png", "b/2.png"), suffixes=SUFFIXES)
    assert name in splits.classes


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (".2.png.icloud", kinds.PLACEHOLDERS),
        ("2.png.nextcloud", kinds.PLACEHOLDERS),
        ("2.PNG.OwnCloud", kinds.PLACEHOLDERS),
        ("2.png.cloud", kinds.PLACEHOLDERS),
        ("._2.png", kinds.APPLE_DOUBLE),
        (".2.png", kinds.HIDDEN),
    ],
)
def test_what_is_no_photo_yet_is_counted_by_kind(name: str, kind: str, tmp_path: Path) -> None:
    splits = load_data(make(tmp_path, "a/1.png", f"a/{name}", "b/3.png"), suffixes=SUFFIXES)
    assert len(splits.train) == 2
    assert (splits.left_out, splits.ignored) == (((kind, 1),), ())


def test_indexes_of_file_managers_are_not_worth_a_word(tmp_path: Path) -> None:
    make(tmp_path, "a/1.png", "b/2.png", "a/Thumbs.db", "b/desktop.ini", ".DS_Store", "a/.DS_Store")
    splits = load_data(tmp_path, suffixes=SUFFIXES)
    assert (splits.left_out, splits.ignored) == ((), ())


RUNS = [
    ("config.toml", "head.safetensors", "labels.txt"),
    ("config.toml", "journal/0.log", "checkpoints/0.safetensors"),
    ("config.toml", "checkpoint.safetensors"),
    ("benchmark.json", "turns/0.json", "stages.png"),
]


@pytest.mark.parametrize("files", RUNS)
@pytest.mark.parametrize("where", ["run", "a/run"])
def test_our_own_run_folders_are_no_classes(
    files: tuple[str, ...], where: str, tmp_path: Path
) -> None:
    make(tmp_path, "a/1.png", "b/2.png", *(f"{where}/{file}" for file in files))
    splits = load_data(tmp_path, suffixes=SUFFIXES)
    assert splits.classes == ("a", "b")
    assert (splits.left_out, splits.ignored) == (((kinds.RUNS, 1),), ())


def test_photos_beside_a_lone_config_stay(tmp_path: Path) -> None:
    make(tmp_path, "a/1.png", "a/config.toml", "b/2.png", "b/labels.txt", "b/report.json")
    assert len(load_data(tmp_path, suffixes=SUFFIXES).train) == 2


def test_pipes_are_never_opened_and_broken_links_are_photos_that_fail(tmp_path: Path) -> None:
    make(tmp_path, "a/1.png", "b/2.png")
    os.mkfifo(tmp_path / "a/pipe.png")
    (tmp_path / "a/linked.png").symlink_to("pipe.png")
    (tmp_path / "b/gone.png").symlink_to("nowhere.png")
    (tmp_path / "b/loop.png").symlink_to("loop.png")
    splits = load_data(tmp_path, suffixes=SUFFIXES, val_fraction=0.4)
    ids = sorted(s.id for s in (*splits.train, *splits.val))
    assert ids == ["a/1.png", "b/2.png", "b/gone.png", "b/loop.png"]
    assert splits.left_out == ((kinds.SPECIAL, 2),)


AS_SOMEBODY = """
import os, sys, threading, watchdog.observers
from pathlib import Path
from edgetransfer.data import find_images, load_data
from edgetransfer.data.streams import FolderSource
from edgetransfer.errors import DataError

class Nothing:
    known = open_for_label = staticmethod(lambda sample_id: False)

os.setgid(65534); os.setuid(65534)
root, suffixes = Path(sys.argv[1]), frozenset([".png"])
for read in (load_data, find_images):
    try:
        print(read(root, suffixes=suffixes))
    except DataError as error:
        print(error)
source = FolderSource(root, suffixes=suffixes, once=True)
for arrival in source.arrivals(threading.Event(), Nothing()):
    print(arrival.id, arrival.problem)
"""


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root can be another user")
def test_a_folder_that_cannot_be_listed_is_named() -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place, "photos")
        make(root, "a/1.png", "a/2023/2.png", "b/3.png")
        for path in root.rglob("*.png"):
            os.utime(path, (1e9, 1e9))
        Path(place).chmod(0o755)
        (root / "a/2023").chmod(0)
        command = [sys.executable, "-c", AS_SOMEBODY, str(root)]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
    refusal = f"{root}/a/2023: this folder cannot be listed (Permission denied)"
    lines = result.stdout.splitlines()
    assert lines[0].startswith(refusal)
    assert lines[1].startswith(refusal)
    assert sorted(lines[2:]) == [
        "a/1.png None",
        "a/2023 the folder cannot be listed (Permission denied); make it readable",
        "b/3.png None",
    ]


def test_a_folder_that_cannot_be_listed_is_named_by_any_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "a/1.png", "a/2023/2.png", "b/3.png")
    listed = os.scandir

    def scandir(path: Path) -> object:
        if Path(path).name == "2023":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match=r"a/2023: this folder cannot be listed"):
        load_data(tmp_path, suffixes=SUFFIXES)
    closed: list[str] = []
    seen = walk(tmp_path, unlistable=lambda path, error: closed.append(path))
    assert closed == ["a/2023"]
    assert list(seen.root.all_files()) == ["a/1.png", "b/3.png"]
