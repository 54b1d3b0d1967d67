"""Every call of a write that fails or ends the process: the old files, or the new ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgetransfer.atomic import write_atomically, write_together
from tests.disk.commands import SOURCE, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

# Writes two files that belong together, again and again, and tells what came of each time.
PROGRAM = """
import ctypes, errno, json, os, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from edgetransfer.atomic import write_together
disk = ctypes.CDLL(None)
folder = Path(sys.argv[1])
first, second = folder / "first", folder / "second"
def write(text):
    write_together({first: [text, b"!"], second: [text]})
def faulty(at, mode, error):
    disk.faulty_disk(f"{folder}/".encode(), ctypes.c_long(at), mode, error)
faulty(0, 0, 0)
write(b"old")
calls = disk.faulty_calls()
told = []
for at in range(1, calls + 1):
    for mode in (2, 3):
        for error in (errno.ENOSPC, errno.EDQUOT, errno.EACCES):
            faulty(0, 0, 0)
            write(b"old")
            faulty(at, mode, error)
            try:
                write(b"new")
                said = None
            except OSError as caught:
                said = [caught.errno == error, caught.filename]
            faulty(0, 0, 0)
            found = [first.read_text(), second.read_text()]
            told.append([at, mode, said, found, sorted(os.listdir(folder))])
print(json.dumps({"calls": calls, "told": told}))
"""
KILLED = """
import ctypes, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from edgetransfer.atomic import write_together
folder = Path(sys.argv[1])
ctypes.CDLL(None).faulty_disk(f"{folder}/".encode(), ctypes.c_long(int(sys.argv[2])), 1, 0)
write_together({folder / "first": [b"new", b"!"], folder / "second": [b"new"]})
"""


# Copies a file to a name that is free, with a fault at each call, and tells what came of it.
COPIED = """
import ctypes, errno, json, os, sys
from pathlib import Path
from edgetransfer.atomic import copy_to_free
disk = ctypes.CDLL(None)
source, folder = Path(sys.argv[1]), Path(sys.argv[2])
target = folder / sys.argv[3]
def copied(at, mode, error=0):
    disk.faulty_disk(f"{folder}/".encode(), ctypes.c_long(at), mode, error)
    try:
        return copy_to_free(source, target)
    except OSError as caught:
        return caught.errno == error
    finally:
        made.append(disk.faulty_calls())
        disk.faulty_disk(b"", ctypes.c_long(0), 0, 0)
made = []
copied(0, 0)
calls = made[0]
told = []
for at in range(1, calls + 1):
    for mode, error in ((2, errno.ENOSPC), (2, errno.EACCES), (3, errno.EDQUOT), (1, 0)):
        target.unlink(missing_ok=True)
        if mode == 1:
            child = os.fork()
            if not child:
                copied(at, mode)
                os._exit(0)
            ended = os.waitpid(child, 0)[1]
        else:
            ended = copied(at, mode, error)
        found = target.read_bytes() == source.read_bytes() if target.exists() else None
        left = [name for name in os.listdir(folder) if name != target.name]
        copy_to_free(source, target)
        last = target.read_bytes() == source.read_bytes()
        told.append([mode, ended, found, left, last, os.listdir(folder)])
print(json.dumps({"calls": calls, "told": told}))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    library = tmp_path_factory.mktemp("library") / "faulty_disk.so"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"], check=True
    )
    return {**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": os.pathsep.join(sys.path)}


def test_a_write_that_fails_leaves_the_old_files(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    result = json.loads(done.stdout)
    assert result["calls"] >= 10  # two files: opened, written, synced, renamed
    failed = 0
    for at, mode, said, found, names in result["told"]:
        assert names == ["first", "second"], (at, mode)
        if said is None:  # a half that was written in a second go; a name that was gone already
            assert found == ["new!", "new"]
            continue
        failed += 1
        is_the_errors, name = said
        assert is_the_errors
        assert name in (str(tmp_path / "first"), str(tmp_path / "second"))
        # Only the second of the two renamings can part them.
        assert found == ["old!", "old"] or (found == ["new!", "old"] and name.endswith("second"))
    assert failed > 3 * result["calls"]


def test_a_write_that_is_killed_leaves_whole_files(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    killed = 0
    for at in (1, 2, 3, 4, 6, 8, 9, 10):
        for name in ("first", "second"):
            (tmp_path / name).write_text("old")
        command = [sys.executable, "-c", KILLED, str(tmp_path), str(at)]
        killed += subprocess.run(command, env=environment, check=False).returncode == -9
        for name in ("first", "second"):
            assert (tmp_path / name).read_text() in ("old", "new", "new!")
    assert killed == 8


def test_what_a_killed_write_left_makes_way_for_the_next(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """In a folder of the user's, which nobody clears: not one more with each kill."""
    for at in (2, 3, 4, 7):
        command = [sys.executable, "-c", KILLED, str(tmp_path), str(at)]
        assert subprocess.run(command, env=environment, check=False).returncode == -9
        assert 1 <= len(list(tmp_path.glob(".*.tmp"))) <= 2
    write_together({tmp_path / "first": [b"a"], tmp_path / "second": [b"b"]})
    assert sorted(os.listdir(tmp_path)) == ["first", "second"]


def test_many_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    """Threads, and a name that is taken by a link, a pipe, a folder or a file of another's."""
    path = tmp_path / "file"
    contents = [bytes([n]) * 50_000 for n in range(64)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda content: write_atomically(path, content), contents))
    assert path.read_bytes() in contents
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("kind", ["link", "dangling", "second name", "pipe", "folder", "locked"])
def test_a_temporary_name_that_is_taken_is_not_followed(tmp_path: Path, kind: str) -> None:
    import fcntl

    mine = tmp_path / "mine"
    mine.write_text("mine")
    taken = tmp_path / ".file.00000000.tmp"
    with mine.open() as file:
        if kind == "link":
            taken.symlink_to(mine)
        elif kind == "dangling":
            taken.symlink_to(tmp_path / "new")
        elif kind in ("second name", "locked"):
            taken.hardlink_to(mine)
        elif kind == "pipe":
            os.mkfifo(taken)
        else:
            taken.mkdir()
        if kind == "locked":
            fcntl.flock(file, fcntl.LOCK_EX)
        write_atomically(tmp_path / "file", b"new")
    assert mine.read_text() == "mine"
    assert (tmp_path / "file").read_text() == "new"
    assert not (tmp_path / "new").exists()
    assert (taken.exists() or taken.is_symlink()) == (kind not in ("second name", "pipe"))


@pytest.mark.parametrize("name", ["photo.jpg", "é" * 127])  # the longest that a name can be
def test_a_copy_is_whole_or_not_there_and_leaves_nothing(
    tmp_path: Path, environment: dict[str, str], name: str
) -> None:
    source, folder = tmp_path / "source", tmp_path / "folder"
    source.write_bytes(os.urandom(100_000))
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", COPIED, str(source), str(folder), name],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    result = json.loads(done.stdout)
    assert result["calls"] >= 4  # opened, written, linked, and its first name taken away
    kills = 0
    for mode, ended, found, left, last, names in result["told"]:
        assert found in (None, True)
        assert last
        assert names == [name]
        if mode == 1:
            kills += ended == 9
            assert len(left) <= 1
        else:
            assert ended is True
            assert left == [] or mode == 3  # where nothing at all can be done there any more
    assert kills == result["calls"]
