"""Kills a process just before any chosen one of its calls that change the disk."""

from __future__ import annotations

import io
import os
import signal
from pathlib import Path
from typing import Any

CHANGES = (
    *("replace", "rename", "link", "unlink", "remove", "mkdir", "rmdir", "open", "write"),
    *("pwrite", "truncate", "ftruncate", "fsync"),
)


def kill_before(n: int, count: Path) -> None:
    """Count the calls of this process, and die before the n-th; write down how many there were.

    Files that Python opens itself count as they are opened, synced and renamed.
    """
    calls = 0
    report = os.open(count, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    pwrite = os.pwrite

    def counted(real: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            pwrite(report, f"{calls:8d}".encode(), 0)
            if calls == n:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return call

    for name in CHANGES:
        setattr(os, name, counted(getattr(os, name)))
    opened = io.open
    writing = counted(opened)

    def choose(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        return (writing if set(mode) & set("wax+") else opened)(file, mode, *args, **kwargs)

    io.open = choose  # type: ignore[assignment]  # as pathlib has it
