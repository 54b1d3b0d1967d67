"""Every call of a write that fails or ends the process: the old files, or the new ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.disk.commands import SOURCE, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

# Writes two files that belong together, again and again, and tells what came of each time.
PROGRAM = """
import ctypes, errno, json, os, sys
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
from pathlib import Path
from edgetransfer.atomic import write_together
folder = Path(sys.argv[1])
ctypes.CDLL(None).faulty_disk(f"{folder}/".encode(), ctypes.c_long(int(sys.argv[2])), 1, 0)
write_together({folder / "first": [b"new", b"!"], folder / "second": [b"new"]})
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
    assert result["calls"] >= 12  # two files: opened, written, synced, renamed
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
