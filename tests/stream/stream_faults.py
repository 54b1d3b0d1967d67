"""Kills a process just before any chosen one of its calls that change the disk."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHANGES = (
    *("replace", "rename", "link", "unlink", "remove", "mkdir", "rmdir", "open", "write"),
    *("pwrite", "truncate", "ftruncate", "fsync"),
)
real_pwrite, real_write = os.pwrite, os.write


def before_each_change(of: Callable[[str, tuple[Any, ...]], None]) -> None:
    """Have ``of`` called before each call of this process that changes the disk.

    It is given the call's name and its arguments. Files that Python opens itself count as they are
    opened, synced and renamed.
    """

    def watched(real: Any, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            of(name, args)
            return real(*args, **kwargs)

        return call

    for name in CHANGES:
        setattr(os, name, watched(getattr(os, name), name))
    opened = io.open
    writing = watched(opened, "io.open")

    def choose(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        return (writing if set(mode) & set("wax+") else opened)(file, mode, *args, **kwargs)

    io.open = choose  # type: ignore[assignment]  # as pathlib has it


def kill_before(n: int, count: Path) -> None:
    """Count the calls of this process, and die before the n-th; write down how many there were."""
    calls = 0
    report = os.open(count, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)

    def counted(name: str, args: tuple[Any, ...]) -> None:
        nonlocal calls
        calls += 1
        real_pwrite(report, f"{calls:8d}".encode(), 0)
        if calls == n:
            os.kill(os.getpid(), signal.SIGKILL)

    before_each_change(counted)
