"""Whole commands that die, stop, or find the disk failing, at a chosen one of their calls."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_name("faulty_disk.c")
SERVER = Path(__file__).with_name("fork_server.py")
LOGS = 32  # of the last commands: one that is stopped still writes to its own


class Mode(IntEnum):
    """What happens at the chosen call; as in `faulty_disk.c`."""

    NOTHING = 0
    KILL = 1
    ONCE = 2
    FULL = 3
    STOP = 4


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a command ended.

    Parameters
    ----------
    status
        Its exit code, negative for a signal; None while it is stopped.
    calls
        Those that changed the disk.
    said
        What it wrote to the terminal.
    pid
        Of a command that is stopped.
    """

    status: int | None
    calls: int
    said: str
    pid: int | None = None

    @property
    def error(self) -> str:
        """The sentence that it ended with."""
        lines = [line for line in self.said.splitlines() if line.startswith("error: ")]
        return lines[-1] if lines else ""


def why_not() -> str | None:
    """Why no disk can be made to fail here; None if it can."""
    if not sys.platform.startswith("linux"):
        return "calls are caught on Linux alone"
    if shutil.which("gcc") is None:
        return "gcc is not installed"
    return None


class Commands:
    """Carries commands out, one after the other.

    Parameters
    ----------
    folder
        For what it makes itself.
    work
        Below which the disk fails; temporary files and the cache lie there, too.
    """

    def __init__(self, folder: Path, work: Path) -> None:
        self.work = work
        self._logs = folder
        self._count = 0
        library = folder / "faulty_disk.so"
        subprocess.run(
            ["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"], check=True
        )
        self._server = subprocess.Popen(
            [sys.executable, str(SERVER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                **os.environ,
                "LD_PRELOAD": str(library),
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
            },
            text=True,
        )

    def run(self, *argv: object, at: int = 0, mode: Mode = Mode.NOTHING, error: int = 0) -> Done:
        """Carry out a command, to its end or until it is stopped."""
        (self.work / "tmp").mkdir(parents=True, exist_ok=True)
        self._count += 1
        log = self._logs / f"{self._count % LOGS}.log"
        order = {
            "argv": [str(word) for word in argv],
            "folder": f"{self.work}/",
            "at": at,
            "mode": int(mode),
            "error": error,
            "log": str(log),
            "environment": {
                "TMPDIR": str(self.work / "tmp"),
                "EDGETRANSFER_CACHE": str(self.work / "cache"),
            },
        }
        return self._done(self._ask(order), log)

    def go_on(self, stopped: Done, log: int) -> Done:
        """Let a command that was stopped come to its end."""
        return self._done(self._ask({"go_on": stopped.pid}), self._logs / f"{log % LOGS}.log")

    @property
    def number(self) -> int:
        """Of the last command; `go_on` finds by it what that one said."""
        return self._count

    def _done(self, answer: dict[str, Any], log: Path) -> Done:
        said = log.read_text(encoding="utf-8", errors="replace")
        return Done(
            status=answer.get("status"),
            calls=answer["calls"],
            said=said,
            pid=answer.get("stopped"),
        )

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        answer: dict[str, Any] = json.loads(self._server.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(60)
        self._server.stdout.close()
