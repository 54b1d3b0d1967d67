"""As `test_faults`, with kills by the kernel: strace ends the process at a chosen system call."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgetransfer.stream.keeping.journal import segments
from tests.stream.stream_children import Children
from tests.stream.stream_pictures import final_state
from tests.stream.test_faults import SETTINGS, begun, done, learning, look  # noqa: F401  (a fixture)

CHANGES = (
    *("openat", "write", "pwrite64", "rename", "renameat", "renameat2", "link", "linkat"),
    *("unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "fsync", "fdatasync", "ftruncate"),
)
ROTATING = {"keeping": {"checkpoint_seconds": 1e9, "checkpoints": 1}}
BEGUN = 70  # samples of the run that is begun with
COMMANDS: dict[str, dict[str, Any]] = {
    "rollback": {"call": "rollback", "to": "50"},
    "forget": {"call": "forget", "ids": ["n0"], "classes": ["dark"]},
    "start": {"call": "learn", "pictures": [0, 0], "settings": SETTINGS},
    # With so many before, the oldest segment makes way for what comes.
    "learning, checkpoint, rotation": {
        "call": "learn",
        "pictures": [104, 108],
        "settings": ROTATING,
    },
}


@dataclass(frozen=True, kw_only=True)
class Traced:
    """How a traced command ended.

    Parameters
    ----------
    status
        Its exit code, negative for a signal.
    made
        How often each system call was made.
    """

    status: int
    made: Mapping[str, int]


class Tracing:
    """Commands of the fork server with strace upon them, in a folder.

    The child stops itself before its first step; strace counts from where it comes to it.
    """

    def __init__(self, children: Children, folder: Path) -> None:
        self._children, self._folder = children, folder

    def carry_out(self, order: Mapping[str, Any], run: Path, *options: str) -> Traced:
        acks, log = self._folder / "acks", self._folder / "trace"
        given = {"kill_at": 0, "count": str(self._folder / "count"), "acks": str(acks)}
        pid = self._children.start({**order, **given, "run": str(run), "traced": True})
        until(lambda: told(pid, "State").startswith("T"))
        tracing = ("strace", "-f", "-qq", "-o", str(log), "-e", f"trace={','.join(CHANGES)}")
        with subprocess.Popen([*tracing, *options, "-p", str(pid)], stderr=subprocess.PIPE) as by:
            # Once it is stopped by its tracer, no call of it goes by unseen.
            until(lambda: by.poll() is not None or told(pid, "State").startswith("t"))
            refused = by.poll() is not None
            os.kill(pid, signal.SIGKILL if refused else signal.SIGCONT)
            status = self._children.status()
            if refused:
                assert by.stderr is not None
                pytest.skip(f"tracing is not allowed here: {by.stderr.read()!r}")
        names = re.findall(r"^\d+ +(\w+)\(", log.read_text(), re.MULTILINE)
        return Traced(status=status, made=Counter(names))


def told(pid: int, field: str) -> str:
    """A line of what the kernel says of a process; empty once it is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return ""
    return text.partition(f"{field}:")[2].partition("\n")[0].strip()


def until(reached: Callable[[], bool]) -> None:
    """Wait for what will come, however long a busy machine takes."""
    last = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < last
        time.sleep(0.001)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_kill_at_each_system_call(
    children: Children,
    begun: Path,  # noqa: F811
    tmp_path: Path,
    command: str,
) -> None:
    run, order, tracing = tmp_path / "run", COMMANDS[command], Tracing(children, tmp_path)
    before, (first, _) = tmp_path / "before", order.get("pictures", (0, 0))
    shutil.copytree(begun, before)
    if first > BEGUN:
        assert done(children, learning(before, BEGUN, first)) == 0

    def fresh() -> None:
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(before, run)

    fresh()
    undisturbed = tracing.carry_out(order, run)
    assert undisturbed.status == 0
    if order.get("settings") is ROTATING:
        assert segments(before / "journal")[0].name != segments(run / "journal")[0].name
    expected = look(run, tmp_path / "out")
    kills = Counter[str]()
    for name, count in undisturbed.made.items():
        for n in range(1, count + 1):
            fresh()
            (tmp_path / "acks").unlink(missing_ok=True)
            killed = tracing.carry_out(order, run, "-e", f"inject={name}:signal=KILL:when={n}")
            if killed.status == 0:
                break  # strace counts for each thread, and none makes as many
            assert killed.status == -signal.SIGKILL
            kills[name] += 1
            if order["call"] == "learn":
                assert learned(tracing, run, order) >= max(BEGUN, first) + acknowledged(tmp_path)
            assert tracing.carry_out(order, run).status == 0
            assert look(run, tmp_path / "out") == expected, (name, n)
    print(f"{command}: {kills.total()} kills, {dict(kills)}")
    assert kills.total() > 15


def acknowledged(folder: Path) -> int:
    acks = folder / "acks"
    return len(acks.read_text().split()) if acks.exists() else 0


def learned(tracing: Tracing, run: Path, order: Mapping[str, Any]) -> int:
    """How many samples a run has, once it was opened again."""
    assert tracing.carry_out({**order, "pictures": [0, 0]}, run).status == 0
    return int(final_state(run)["counts"]["accepted"])
