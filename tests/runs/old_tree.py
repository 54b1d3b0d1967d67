"""An earlier tree of this project, out of its own history, and commands by it.

What it wrote must be opened by today's. Where the history is not there (an archive, a shallow
clone), the tests that need it are skipped.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

COMMIT = "3470e630337424e7cc93bee79bc95b2ed5dea26a"

# Every moment is one of a checkpoint, and the process dies by the kill that nobody can catch,
# right behind the n-th write of a file whose name ends so; of none, if that is empty.
_DRIVER = """
import itertools, os, signal, sys, time
name, times, hurry, *arguments = sys.argv[1:]
monotonic, replace, seen = time.monotonic, os.replace, itertools.count(1)
if hurry == "hurry":
    time.monotonic = lambda: 1e5 * monotonic()
def replaced(old, new):
    replace(old, new)
    if name and os.fspath(new).endswith(name) and next(seen) == int(times):
        os.kill(os.getpid(), signal.SIGKILL)
os.replace = replaced
from edgetransfer.cli.main import main
sys.exit(main(arguments))
"""


def unpack(folder: Path) -> Path:
    """The old package, without its native library: what runs is what NumPy and others do."""
    made = subprocess.run(
        ["git", "-C", str(REPOSITORY), "archive", COMMIT, "edgetransfer"],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"the history has no {COMMIT}")
    with tarfile.open(fileobj=io.BytesIO(made.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def by_old(
    tree: Path, *arguments: object, killed_at: tuple[str, int] | None = None, stdin: str = ""
) -> str:
    """What a command of the old tree prints.

    Parameters
    ----------
    killed_at
        How a file's name ends, and behind which write of such a one the process is killed.
    """
    name, times = killed_at or ("", 0)
    hurry = "hurry" if killed_at is not None and arguments[0] != "stream" else ""
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER, name, str(times), hurry, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"},
        cwd=tree,
        timeout=300,
    )
    wanted = -9 if killed_at is not None else 0
    assert done.returncode == wanted, done.stderr[-3000:]
    return done.stdout
